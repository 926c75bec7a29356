"""An ASGI application behind the web process's own server, on a port of 127.0.0.1, within the test's process."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from nlpsuite.server import listening_socket, server_config


@contextmanager
def served(app: Any) -> Iterator[int]:
    """Serve `app` as `manage.py web` would; gives the port."""
    bound = listening_socket("127.0.0.1", 0)
    config = server_config(app)
    config.timeout_graceful_shutdown = 1
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    try:
        yield bound.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(30)


def exchange(port: int, request: bytes, timeout_s: float = 20) -> bytes:
    """Send bytes on a connection of its own; returns everything until the server closes it."""
    with socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
        connection.sendall(request)
        return read_all(connection)


def answer(port: int, request: bytes, timeout_s: float = 20) -> bytes:
    """Send bytes on a connection of its own; returns the answer as soon as it is complete, by its Content-Length."""
    found = b""
    with socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
        connection.sendall(request)
        while part := connection.recv(65536):
            found += part
            head, end, body = found.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            if end and length and len(body) >= int(length.group(1)):
                break
    return found


def read_all(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    found = b""
    while True:
        try:
            part = connection.recv(65536)
        except ConnectionResetError:
            return found
        if not part:
            return found
        found += part


def status_of(answer: bytes) -> int:
    """The status of an HTTP answer; 0 where there is none."""
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.") else 0
