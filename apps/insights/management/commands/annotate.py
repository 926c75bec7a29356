"""`manage.py annotate --org SLUG`: have the messages read that were written before the suite read messages."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.core.errors import AppError
from apps.insights.services.annotations import annotations_start_missing
from apps.tenants.selectors import organization_by_slug


class Command(BaseCommand):
    help = "Enqueue the messages of an organisation that were never read for language, sentiment and intent."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--org", required=True, help="the organisation's slug")
        parser.add_argument("--limit", type=int, default=10_000, help="at most so many messages (default 10,000)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print how many messages wait to be read."""
        try:
            found = organization_by_slug(slug=options["org"])
        except AppError as error:
            raise CommandError(str(error.message)) from error
        started = annotations_start_missing(tenant_id=found.id, limit=max(1, options["limit"]))
        self.stdout.write(f"{started} messages wait to be read.")
