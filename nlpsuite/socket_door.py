"""ASGI: how many sockets one address opens, and how fast, before anything is made for them."""

from __future__ import annotations

from typing import Any

import structlog
from django.conf import settings

from apps.core.counts import Held, Pace
from apps.core.peers import client_network
from apps.core.refusals import refusal_count

log = structlog.get_logger(__name__)
# An office that comes back after a restart opens all its sockets at once.
_BURST_SHARE = 3


class SocketDoor:
    """Closes with 4429 what one address opens beyond SOCKETS_PER_ADDRESS, or beyond HANDSHAKES_PER_MINUTE, and what this
    process would hold beyond SOCKETS. The widget and the console back off at that code."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._held, self._pace = Held(), Pace()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        address, a_minute = client_network(scope), settings.HANDSHAKES_PER_MINUTE
        if not self._pace.allows(address, per_minute=a_minute, burst=max(1, a_minute // _BURST_SHARE)):
            refusal_count("sockets", "too_fast")
            await _refuse(receive, send)
        elif self._held.total() >= settings.SOCKETS or not self._held.take(address, settings.SOCKETS_PER_ADDRESS):
            log.warning("sockets.too_many", address=address)
            refusal_count("sockets", "too_many")
            await _refuse(receive, send)
        else:
            try:
                await self._app(scope, receive, send)
            finally:
                self._held.give(address)


async def _refuse(receive: Any, send: Any) -> None:
    await receive()  # websocket.connect
    # Accepted first: a browser tells its page no code of a handshake that fails.
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": 4429})
