"""The outbox dispatcher process."""

from __future__ import annotations

import signal
import threading
from typing import Any

import psycopg
import structlog
from django.core.management.base import BaseCommand
from django.db import Error, connection

from apps.core.boot import boot_check
from apps.events.services import NOTIFY_CHANNEL, dispatch_due

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Deliver events from the outbox to their handlers until stopped."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        signal.signal(signal.SIGINT, lambda *_: stop.set())
        pause_s = 0.2
        while not stop.is_set():
            try:
                boot_check()
                with psycopg.connect(**self._parameters(), autocommit=True) as listener:
                    listener.execute(f"LISTEN {NOTIFY_CHANNEL}")
                    log.info("dispatcher.listening")
                    pause_s = 0.2
                    self._drain(stop, listener)
            except (psycopg.Error, Error) as error:
                log.warning("dispatcher.database_away", error=type(error).__name__)
                connection.close()
                stop.wait(pause_s)
                pause_s = min(5.0, pause_s * 2)

    def _parameters(self) -> dict[str, Any]:
        found = connection.get_connection_params()
        wanted = ("dbname", "user", "password", "host", "port", "connect_timeout", "options")
        return {name: found[name] for name in wanted if found.get(name)}

    def _drain(self, stop: threading.Event, listener: psycopg.Connection) -> None:
        while not stop.is_set():
            if dispatch_due() == 0:
                # A notification ends the wait at once; entries that are put back become due by time alone.
                for _ in listener.notifies(timeout=0.5, stop_after=1):
                    pass
