"""uvicorn with limits on frames, slow readers and dead peers."""

from __future__ import annotations

import socket
from typing import Any, cast

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MAX_FRAME_BYTES = 16 * 1024
# Accepted sockets inherit it: a reader that does not read blocks the writer after this much, not after megabytes.
SEND_BUFFER_BYTES = 64 * 1024
DEAD_PEER_MS = 15_000


class AbortableProtocol(WebSocketsSansIOProtocol):
    """WebSockets whose peer can be cut off: `transport.close()` alone waits for a peer that never reads."""

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.loop.call_later(1, self.transport.abort)

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        cast("dict[str, Any]", self.scope.setdefault("extensions", {}))["nlpsuite.abort"] = self.transport.abort


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a bound socket with the limits above."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_MS)
    bound.bind((host, port))
    bound.set_inheritable(True)
    return bound


def server_config(app: Any) -> uvicorn.Config:
    """Return how the web process serves `app`, an ASGI application or its import path."""
    return uvicorn.Config(
        app,
        ws=AbortableProtocol,
        ws_max_size=MAX_FRAME_BYTES,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        backlog=2048,
        # nlpsuite.edge.TrueClient reads them: uvicorn takes "*", junk for an address, and misses IPv4 within IPv6.
        proxy_headers=False,
    )
