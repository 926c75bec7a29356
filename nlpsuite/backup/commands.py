"""What the three commands share: their options, their result as text or JSON, their exit statuses."""

from __future__ import annotations

import dataclasses
import json
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from nlpsuite.backup.errors import BackupError
from nlpsuite.backup.progress import Progress

STATUSES = (
    "Exit status: 0 done; 1 another error; 2 wrong use; 3 no key or a wrong one; 4 the file was cut or altered; "
    "5 no backup, or of a newer version; 6 the place is not empty; 7 the disk has too little room; "
    "8 the comparison found a difference; 9 the database does not answer or refuses."
)


class BackupCommand(BaseCommand):
    """A command on one backup FILE."""

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog = STATUSES
        parser.add_argument("file", help="the backup")
        parser.add_argument(
            "--key-file", help="file with the key; else BACKUP_KEY, BACKUP_KEY_FILE, DATA_DIR/backup.key"
        )
        parser.add_argument("--json", action="store_true", help="print the result as JSON, and no progress")

    def answer(self, work: Callable[[Path, Progress], Any], say: Callable[[Any], str], options: dict[str, Any]) -> None:
        """Run `work`, print its result, or end with the status of what it raised."""
        progress = Progress(quiet=options["json"])
        try:
            result = work(Path(options["file"]).absolute(), progress)
        except BackupError as error:
            progress.end()
            if options["json"]:
                self.stdout.write(json.dumps({"error": {"code": error.code, "message": str(error)}}))
            raise CommandError(str(error), returncode=error.status) from error
        if options["json"]:
            self.stdout.write(json.dumps(dataclasses.asdict(result), default=str))
        else:
            self.stdout.write(say(result))


def lost_text(names: list[str]) -> str:
    """Return a sentence on files that the database names and that were not there, or nothing."""
    return f" {len(names)} files that the database names were not there, the first is {names[0]}." if names else ""
