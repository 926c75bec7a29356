"""H1, G7: whoever sends slowly, or nothing, holds a connection for seconds and nothing else."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from nlpsuite.server import PatientProtocol
from tests.served import exchange, read_all, served, status_of

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"


class App:
    """Answers after `go`."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        import asyncio

        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await receive()
            return
        while not self.go.is_set():
            await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def port(app: App, settings: Any) -> Iterator[int]:
    settings.REQUEST_HEAD_S = 0.5
    with served(app) as found:
        yield found
    assert dict(PatientProtocol.shared.by_address) == {}
    assert PatientProtocol.shared.untold == {}


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 20)


def ended_after(connection: socket.socket) -> float:
    began = time.monotonic()
    read_all(connection)
    return time.monotonic() - began


@pytest.mark.parametrize("said", [b"", b"G", b"GET / HTTP/1.1\r\n", HEAD, HEAD + b"X-A: " + b"a" * 500, b"\r\n" * 20])
def test_a_head_that_does_not_come_is_given_up(port: int, said: bytes) -> None:
    with connect(port) as connection:
        connection.sendall(said)
        assert status_of(read_all(connection)) == 408


def test_a_head_that_drips_is_given_up(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(HEAD)
        stopped = threading.Event()

        def drip() -> None:
            while not stopped.wait(0.05):
                try:
                    connection.sendall(b"X-A: b\r\n")
                except OSError:
                    return

        threading.Thread(target=drip, daemon=True).start()
        assert status_of(read_all(connection)) in {408, 0}  # 0: reset while it still sent
        stopped.set()


@pytest.mark.parametrize("tail", [b"", b"\r\n\r\n", b"GET"])
def test_a_second_request_has_the_same_time(port: int, tail: bytes) -> None:
    """White space between requests ends uvicorn's own time-out for idle connections and begins no request."""
    with connect(port) as connection:
        connection.sendall(HEAD + b"\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        connection.sendall(tail)
        read_all(connection)  # would time out where nobody closes


def test_a_request_that_is_being_answered_may_take_longer_than_heads(port: int, app: App) -> None:
    app.go.clear()
    threading.Timer(1.5, app.go.set).start()
    with connect(port) as connection:
        connection.sendall(HEAD + b"Connection: close\r\n\r\n")
        assert status_of(read_all(connection)) == 200


def test_a_pipelined_head_waits_for_the_answer_before_it(port: int, app: App) -> None:
    app.go.clear()
    threading.Timer(1.5, app.go.set).start()
    with connect(port) as connection:
        connection.sendall(HEAD + b"\r\n" + HEAD)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"X-A: " + b"a" * 200_000,
        HEAD + b"".join(b"X-%d: a\r\n" % n for n in range(20_000)) + b"\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    ids=["one-header", "many-headers", "path"],
)
def test_a_head_without_end_is_cut(port: int, head: bytes) -> None:
    assert status_of(exchange(port, head)) in {400, 431, 0}  # 0: reset while it still sent


def test_a_head_of_ordinary_size_passes(port: int) -> None:
    head = HEAD + b"Cookie: " + b"a" * 30_000 + b"\r\nConnection: close\r\n\r\n"
    assert status_of(exchange(port, head)) == 200


def test_silent_connections_of_one_address_give_way_to_new_ones(port: int, settings: Any) -> None:
    settings.CONNECTIONS_PER_ADDRESS, settings.REQUEST_HEAD_S = 5, 20
    with ExitStack() as opened:
        silent = [opened.enter_context(connect(port)) for _ in range(12)]
        assert status_of(exchange(port, HEAD + b"Connection: close\r\n\r\n")) == 200
        # The first eight gave way, one after the other, each at once.
        assert max(ended_after(one) for one in silent[:8]) < 5


def test_an_address_holds_no_more_than_its_connections(port: int, app: App, settings: Any) -> None:
    settings.CONNECTIONS_PER_ADDRESS = 5
    app.go.clear()
    with ExitStack() as opened:
        busy = [opened.enter_context(connect(port)) for _ in range(5)]
        for one in busy:
            one.sendall(HEAD + b"Connection: close\r\n\r\n")
        while len(PatientProtocol.shared.untold):
            time.sleep(0.01)
        assert exchange(port, HEAD + b"\r\n") == b""
        app.go.set()
        assert [status_of(read_all(one)) for one in busy] == [200] * 5
    assert status_of(exchange(port, HEAD + b"Connection: close\r\n\r\n")) == 200


def test_a_trusted_proxy_has_no_such_bound(port: int, settings: Any) -> None:
    settings.CONNECTIONS_PER_ADDRESS, settings.TRUSTED_PROXIES = 2, ["127.0.0.0/8"]
    with ExitStack() as opened:
        for _ in range(6):
            opened.enter_context(connect(port))
        assert status_of(exchange(port, HEAD + b"Connection: close\r\n\r\n")) == 200


def test_a_socket_is_no_http_connection_any_more(port: int, settings: Any) -> None:
    upgrade = (
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with connect(port) as connection:
        connection.sendall(HEAD + upgrade)
        assert connection.recv(4096).startswith(b"HTTP/1.1 101")
        assert dict(PatientProtocol.shared.by_address) == {}
        time.sleep(1.0)  # longer than a head may take
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)
