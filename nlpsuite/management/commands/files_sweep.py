"""Stored files that no row means."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.tenants.sweeping import files_sweep


class Command(BaseCommand):
    help = (
        "Remove stored files that are older than a day and that no row means, as happens every night. Where most files of "
        "an organisation seem to be nobody's nothing is removed: see first that the database is the right one."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--even-many", action="store_true", help="remove also where there are suspiciously many")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(files_sweep(even_many=options["even_many"])))
