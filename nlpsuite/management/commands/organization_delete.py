"""`manage.py organization_delete SLUG --yes`: delete an organisation with all that belongs to it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.core.errors import AppError
from apps.tenants.selectors import organization_by_slug
from apps.tenants.services import organization_delete


class Command(BaseCommand):
    help = (
        "Delete an organisation with all its rows and files. The audit trail stays. A second call goes on after a stop."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug")
        parser.add_argument("--yes", action="store_true", help="really: nothing of it can be brought back")

    def handle(self, *args: Any, **options: Any) -> None:
        """Delete, or say what would be deleted."""
        try:
            found = organization_by_slug(slug=options["slug"])
        except AppError as error:
            raise CommandError(str(error.message)) from error
        if not options["yes"]:
            raise CommandError(f"{found.name} would be deleted with everything in it. Say --yes to do it.")
        organization_delete(tenant_id=found.id, actor="system:command")
        self.stdout.write(f"{found.name} is deleted.")
