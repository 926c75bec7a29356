"""Seed the demo organisation once, and write DATA_DIR/demo.json."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from apps.core.errors import AppError
from nlpsuite.demo import demo_seed
from nlpsuite.startup import start_refuse


class Command(BaseCommand):
    help = "Create the demo organisation and its neighbour on the first start; refresh base_url in demo.json."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            demo_seed(say=self.stdout.write)
        except AppError as error:
            start_refuse(error)
