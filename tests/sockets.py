"""Sockets of the product inside the test's process: the real routing and consumers, the real database and Valkey."""

from __future__ import annotations

import ast
import asyncio
import inspect
import ipaddress
import json
import random
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.db import close_old_connections

from apps.events.services import dispatch_due
from apps.jobs.models import JobDispatch
from apps.jobs.services import job_run

OWN = settings.OWN_ORIGINS[0]


class Closed(Exception):
    """The server closed the socket, or answered with a status instead of opening it."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class Socket:
    """One socket. `receive` skips frames of other types, `frames` keeps all of them."""

    def __init__(
        self,
        path: str,
        *,
        origin: str | bytes | None = OWN,
        headers: Sequence[tuple[bytes, bytes]] = (),
        client: str = "",
    ) -> None:
        from nlpsuite.asgi import application

        raw = origin.encode() if isinstance(origin, str) else origin
        given = [*headers, *([(b"origin", raw)] if raw is not None else [])]
        # Each socket comes from an address of its own, unless the test is about addresses.
        peer = client or str(ipaddress.IPv4Address(random.getrandbits(24) | 10 << 24))
        scope = {
            "type": "websocket",
            "path": path,
            "query_string": b"",
            "headers": given,
            "subprotocols": [],
            "client": (peer, 40000),
        }
        self._socket = ApplicationCommunicator(application, scope)
        self.frames: list[dict[str, Any]] = []

    async def open(self) -> Socket:
        await self._socket.send_input({"type": "websocket.connect"})
        event = await self._socket.receive_output(10)
        if event["type"] == "websocket.http.response.start":
            raise Closed(event["status"])
        assert event["type"] == "websocket.accept"
        return self

    async def send(self, **frame: Any) -> None:
        await self.send_raw(text=json.dumps(frame))

    async def send_raw(self, *, text: str | None = None, data: bytes | None = None) -> None:
        content = {"text": text} if text is not None else {"bytes": data}
        await self._socket.send_input({"type": "websocket.receive", **content})

    async def next(self, timeout_s: float = 5) -> dict[str, Any]:
        """The next frame. Raises Closed when the server has closed."""
        event = await self._socket.receive_output(timeout_s)
        if event["type"] == "websocket.close":
            raise Closed(event.get("code", 1000))
        frame: dict[str, Any] = json.loads(event["text"])
        self.frames.append(frame)
        return frame

    async def receive(self, *types: str, timeout_s: float = 5) -> dict[str, Any]:
        """The next frame of one of the types."""
        deadline = time.monotonic() + timeout_s
        while True:
            frame = await self.next(max(0.05, deadline - time.monotonic()))
            if frame["type"] in types:
                return frame

    async def quiet(self, seconds: float = 0.4) -> list[dict[str, Any]]:
        """The frames that come while waiting."""
        found = []
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if await self._socket.receive_nothing(left, 0.02):
                continue
            found.append(await self.next(0.5))
        return found

    async def closed(self, timeout_s: float = 5) -> int:
        """Wait for the server to close; returns the code."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                await self.next(max(0.05, deadline - time.monotonic()))
            except Closed as closed:
                return closed.code

    async def close(self) -> None:
        await self._socket.send_input({"type": "websocket.disconnect", "code": 1000})
        await self._socket.wait(5)


async def visitor(inbox: Any, *, origin: str | None = OWN, **hello: Any) -> tuple[Socket, dict[str, Any]]:
    """A visitor's socket that has said hello, and its welcome."""
    socket = await Socket("/ws/widget", origin=origin).open()
    await socket.send(type="hello", widget_token=inbox.widget_token, **hello)
    return socket, await socket.receive("welcome")


async def staff(secret: str) -> Socket:
    """A staff socket that has said hello with an API key."""
    socket = await Socket("/ws/inbox", origin=None).open()
    await socket.send(type="hello", api_key=secret)
    await socket.receive("welcome")
    return socket


async def say(socket: Socket, text: str, client_id: str | None = None) -> dict[str, Any]:
    """Send a visitor's message; returns its ack."""
    wanted = client_id or str(uuid.uuid4())
    await socket.send(type="message", client_id=wanted, text=text)
    while True:
        frame = await socket.receive("ack", "error")
        if frame.get("client_id") == wanted:
            return frame


def work_sync() -> int:
    """Do what dispatcher and workers would: deliver events and run queued jobs until nothing is left."""
    done = 0
    while True:
        delivered = dispatch_due()
        queued = list(JobDispatch.objects.filter(status="queued").values_list("job_id", flat=True))
        done += sum(job_run(job_id) for job_id in queued)
        if not delivered and not queued:
            close_old_connections()
            return done


async def work() -> int:
    """`work_sync` off the event loop."""
    return await sync_to_async(work_sync, thread_sensitive=False)()


async def call(function: Any, **arguments: Any) -> Any:
    """Call a service off the event loop."""

    def run() -> Any:
        try:
            return function(**arguments)
        finally:
            close_old_connections()

    return await sync_to_async(run, thread_sensitive=False)()


def actions_of(consumer: type) -> set[str]:
    """The frame types that a consumer's `on_frame` knows, read from its source."""
    tree = ast.parse(Path(inspect.getfile(consumer)).read_text())
    function = next(n for n in ast.walk(tree) if isinstance(n, ast.AsyncFunctionDef) and n.name == "on_frame")
    table = next(n for n in ast.walk(function) if isinstance(n, ast.Dict))
    return {key.value for key in table.keys if isinstance(key, ast.Constant)} | {"hello"}


async def until(check: Any, timeout_s: float = 5) -> None:
    """Wait until `check()` is true."""
    deadline = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline, "waited too long"
        await asyncio.sleep(0.02)
