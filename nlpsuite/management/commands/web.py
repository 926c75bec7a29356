"""The web process."""

from __future__ import annotations

from typing import Any

import uvicorn
from django.core.management.base import BaseCommand

from nlpsuite.server import files_allow, listening_socket, server_config
from nlpsuite.settings import env


class Command(BaseCommand):
    help = "Serve HTTP and WebSockets on HOST:PORT."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        files_allow()
        config = server_config("nlpsuite.asgi:application")
        uvicorn.Server(config).run(sockets=[listening_socket(env.HOST, env.PORT)])
