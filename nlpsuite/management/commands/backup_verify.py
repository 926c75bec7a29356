"""`manage.py backup_verify FILE`: prove that a backup can be restored."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from nlpsuite.backup.commands import BackupCommand, lost_text
from nlpsuite.backup.verify import BackupVerified, backup_verify


class Command(BackupCommand):
    help = "Restore a backup into a scratch database, compare it with what was backed up, and throw it away."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--scratch", help="folder for the scratch database; the system's temporary folder otherwise"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        scratch = Path(options["scratch"]).absolute() if options["scratch"] else None
        self.answer(
            lambda path, progress: backup_verify(
                path, key_file=options["key_file"], scratch=scratch, progress=progress
            ),
            _say,
            options,
        )


def _say(found: BackupVerified) -> str:
    return (
        f"The backup of {found.made_at} (version {found.product}) can be restored: {found.rows} rows of {found.tables} "
        f"tables and {found.files} files are what was backed up.{lost_text(found.files_missing)}"
    )
