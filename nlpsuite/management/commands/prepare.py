"""Bring schema and message catalogues up to date. Runs as the owner role, before the application starts."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from apps.inference.engine.errors import ModelUnavailable
from apps.inference.services import catalogue
from nlpsuite.startup import start_refuse


class Command(BaseCommand):
    help = "Check the catalogue of models, migrate the database and compile the message catalogues."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            catalogue()
        except ModelUnavailable as error:
            start_refuse(error)
        call_command("migrate", interactive=False, verbosity=0)
        call_command("compile_catalogs", verbosity=0)
