"""`manage.py restore FILE`: a backup into an empty place."""

from __future__ import annotations

from typing import Any

from nlpsuite.backup.commands import BackupCommand, lost_text
from nlpsuite.backup.restore import BackupRestored, backup_restore


class Command(BackupCommand):
    help = "Restore a backup into an empty DATA_DIR (and an empty database, with DATABASE_URL)."

    def handle(self, *args: Any, **options: Any) -> None:
        self.answer(
            lambda path, progress: backup_restore(path, key_file=options["key_file"], progress=progress), _say, options
        )


def _say(found: BackupRestored) -> str:
    migrated = f" {found.migrated} migrations brought the database up to this version." if found.migrated else ""
    return (
        f"Restored as of {found.made_at}: {found.rows} rows of {found.tables} tables and {found.files} files, compared "
        f"with the backup.{lost_text(found.files_missing)}{migrated} Everybody has to sign in again. Start with `make run`."
    )
