"""uvicorn with limits on connections, slow heads, frames, slow readers and dead peers."""

from __future__ import annotations

import resource
import socket
from asyncio import TimerHandle, Transport
from collections import Counter
from typing import Any, cast

import structlog
import uvicorn
from django.conf import settings
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from apps.core.peers import is_trusted, network_of
from apps.core.refusals import refusal_count, request_id

MAX_FRAME_BYTES = 16 * 1024
# Accepted sockets inherit it: a reader that does not read blocks the writer after this much, not after megabytes.
SEND_BUFFER_BYTES = 64 * 1024
DEAD_PEER_MS = 15_000
OPEN_FILES = 65_536


log = structlog.get_logger(__name__)


class Connections:
    """The HTTP connections of this process by address, and those that have not told their request yet, oldest first."""

    def __init__(self) -> None:
        self.by_address: Counter[str] = Counter()
        self.untold: dict[PatientProtocol, str] = {}

    def enter(self, protocol: PatientProtocol, address: str) -> bool:
        """Count a connection. Above the bound the oldest of its address that has said nothing gives way; where none
        has, returns False."""
        room = self.by_address[address] < settings.CONNECTIONS_PER_ADDRESS
        silent = None if room else next((one for one, of in self.untold.items() if of == address), None)
        if silent is not None:
            refusal_count("connections", "gave_way")
            silent.transport.abort()
        self.by_address[address] += 1
        return room or silent is not None

    def leave(self, protocol: PatientProtocol, address: str) -> None:
        """Stop counting a connection."""
        self.untold.pop(protocol, None)
        self.by_address[address] -= 1
        if self.by_address[address] <= 0:
            del self.by_address[address]


class PatientProtocol(HttpToolsProtocol):
    """HTTP whose requests must be told within REQUEST_HEAD_S and REQUEST_HEAD_BYTES, on a bounded number of connections.

    uvicorn alone waits for ever for the end of the headers, and keeps whatever comes.
    """

    shared = Connections()
    _address: str | None = None
    _head_timer: TimerHandle | None = None
    _head_bytes = 0
    _told_bytes = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer = self.client[0] if self.client else ""
        if not is_trusted(peer):  # a proxy brings everybody's requests
            self._address = network_of(peer)
            if not self.shared.enter(self, self._address):
                log.warning("server.too_many_connections", address=self._address)
                refusal_count("connections", "too_many")
                transport.abort()
                return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self._leave()  # sockets are counted by themselves
        super().handle_websocket_upgrade()

    def _leave(self) -> None:
        self._head_told()
        if self._address is not None:
            self.shared.leave(self, self._address)
            self._address = None

    def data_received(self, data: bytes) -> None:
        between = self.cycle is None or self.cycle.response_complete
        if self._head_timer is None and between:
            self._await_head()
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_timer is not None and self._head_bytes > settings.REQUEST_HEAD_BYTES:
            self._cut_head(b"431 Request Header Fields Too Large", "head_too_large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._told_bytes = 0
        if self._head_timer is None:
            self._await_head()

    def on_url(self, url: bytes) -> None:
        self._tell(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._tell(len(name) + len(value))
        super().on_header(name, value)

    def _tell(self, size: int) -> None:
        self._told_bytes += size
        if self._told_bytes > settings.REQUEST_HEAD_BYTES:
            raise ValueError("the head of the request is too large")  # the parser makes a 400 of it

    def on_headers_complete(self) -> None:
        self._head_told()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(settings.REQUEST_HEAD_S, self._head_late)
        if self._address is not None:
            self.shared.untold[self] = self._address

    def _head_told(self) -> None:
        self.shared.untold.pop(self, None)
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._head_timer = None
        if self.cycle is not None and not self.cycle.response_complete:
            self._await_head()  # the one before is still being answered, and reading may be paused for it
            return
        self._cut_head(b"408 Request Timeout", "head_too_slow")

    def send_400_response(self, msg: str) -> None:
        too_large = self._told_bytes > settings.REQUEST_HEAD_BYTES
        refusal_count("connections", "head_too_large" if too_large else "head_invalid")
        super().send_400_response(msg)

    def _cut_head(self, status: bytes, code: str) -> None:
        self._head_told()
        if not self.transport.is_closing():
            refusal_count("connections", code)
            mark = f"x-request-id: {request_id('')}\r\n".encode()  # what the head says is not known yet
            rest = b"content-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(b"HTTP/1.1 " + status + b"\r\n" + mark + rest)
            self.transport.close()
            self.loop.call_later(1, self.transport.abort)


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


def files_allow() -> None:
    """Let this process hold more connections than the usual soft limit of 1,024 files, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def server_config(app: Any) -> uvicorn.Config:
    """Return how the web process serves `app`, an ASGI application or its import path."""
    return uvicorn.Config(
        app,
        ws=AbortableProtocol,
        ws_max_size=MAX_FRAME_BYTES,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        loop="uvloop",
        http=PatientProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        backlog=2048,
        # nlpsuite.edge.TrueClient reads them: uvicorn takes "*", junk for an address, and misses IPv4 within IPv6.
        proxy_headers=False,
    )
