"""`manage.py backup FILE`: the whole installation in one encrypted file, while it runs."""

from __future__ import annotations

import sys
from typing import Any

from nlpsuite.backup.commands import BackupCommand, lost_text
from nlpsuite.backup.create import BackupMade, backup_create
from nlpsuite.backup.progress import size_text


class Command(BackupCommand):
    help = "Write database, files and secrets of one moment into one encrypted file; nlpsuite may run meanwhile."

    def handle(self, *args: Any, **options: Any) -> None:
        self.answer(
            lambda path, progress: backup_create(path, key_file=options["key_file"], progress=progress),
            self._say,
            options,
        )

    def _say(self, made: BackupMade) -> str:
        text = (
            f"{made.path}: {size_text(made.size_bytes)}, {made.rows} rows of {made.tables} tables, {made.files} files, "
            f"as of {made.snapshot_at}.{lost_text(made.files_missing)}"
        )
        if made.new_key is not None:
            text += f"\nIts key was made now: {made.new_key}. Keep a copy apart from this machine and from the backups."
            if sys.stdout.isatty():
                text += f"\nIt is shown this once: {made.new_key.read_text().strip()}"
        return text
