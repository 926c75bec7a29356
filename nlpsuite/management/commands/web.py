"""The web process."""

from __future__ import annotations

import threading
from typing import Any

import uvicorn
from django.core.management.base import BaseCommand

from apps.core.offload import offload_stop, offload_warm
from nlpsuite.server import files_allow, listening_socket, server_config
from nlpsuite.settings import env

_WARM_S = 20.0


class Command(BaseCommand):
    help = "Serve HTTP and WebSockets on HOST:PORT."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        files_allow()
        # When everything else has started.
        warm = threading.Timer(_WARM_S, offload_warm)
        warm.daemon = True
        warm.start()
        config = server_config("nlpsuite.asgi:application")
        try:
            uvicorn.Server(config).run(sockets=[listening_socket(env.HOST, env.PORT)])
        finally:
            offload_stop()
