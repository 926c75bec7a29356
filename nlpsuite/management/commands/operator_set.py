"""Make an account an operator of the installation, or end that."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.accounts.services import operator_set
from apps.core.errors import AppError


class Command(BaseCommand):
    help = "Let an account see the operators' pages (/operations/); --revoke ends it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--revoke", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            operator_set(email=options["email"], operator=not options["revoke"])
        except AppError as error:
            raise CommandError(str(error)) from None
        state = "not an operator any more" if options["revoke"] else "an operator"
        self.stdout.write(f"{options['email']} is {state}.")
