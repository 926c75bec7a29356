"""Start the whole product in the foreground."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from nlpsuite.supervisor.hold import AlreadyRunning
from nlpsuite.supervisor.up import Supervisor


class Command(BaseCommand):
    help = "Start PostgreSQL, Valkey, web, workers, dispatcher and beat; stop them all on Ctrl-C or SIGTERM."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            sys.exit(Supervisor().run())
        except (AlreadyRunning, RuntimeError) as error:
            self.stderr.write(str(error))
            sys.exit(1)
