"""Hostile frames against the running product (G5): a documented close code or an error, never 1011, nobody else hurt."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from apps.inbox.consumers import StaffConsumer
from apps.widget.consumers import VisitorConsumer
from tests.sockets import actions_of
from tests.stack import Stack
from tests.widget.hostile import (
    HELLO_FIELDS,
    RAW,
    STAFF_FIELDS,
    TEXTS,
    UNKNOWN,
    VISITOR_FIELDS,
    WRONG,
    wrong_frames,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]
PATIENCE_S = 20
# uvicorn logs bytes that are not UTF-8 with a trace back, and closes with 1007 as it should.
HANDLED = "Invalid UTF-8 sequence received from client"


def test_at_least_200_frames_are_tried() -> None:
    wrong = sum(len(wrong_frames(kind, fields)) for kind, fields in {**VISITOR_FIELDS, **STAFF_FIELDS}.items())
    assert len(RAW) + len(TEXTS) + len(UNKNOWN) + wrong + len(HELLO_FIELDS) * len(WRONG) >= 200


def test_every_action_is_tried() -> None:
    assert set(VISITOR_FIELDS) | {"hello"} == actions_of(VisitorConsumer)
    assert set(STAFF_FIELDS) | {"hello"} == actions_of(StaffConsumer)


def _fields_read_by(consumer: type) -> set[str]:
    """The names that a consumer's source takes from a frame."""
    return set(re.findall(r'frame(?:\.get\(|\[)"(\w+)"', Path(inspect.getfile(consumer)).read_text())) - {"type"}


def test_every_field_that_a_consumer_reads_is_tried() -> None:
    visitor = {name for fields in VISITOR_FIELDS.values() for name in fields} | set(HELLO_FIELDS) | {"widget_token"}
    staff = {name for fields in STAFF_FIELDS.values() for name in fields} | {"api_key"}
    assert _fields_read_by(VisitorConsumer) <= visitor | {"offset", "reply_id"}
    assert _fields_read_by(StaffConsumer) <= staff | {"offset", "reply_id"}


@asynccontextmanager
async def _visitor(stack: Stack, **options: Any) -> AsyncIterator[ClientConnection]:
    address = stack.base.replace("http", "ws") + "/ws/widget"
    async with connect(address, origin=stack.base, open_timeout=PATIENCE_S, close_timeout=1, **options) as socket:
        await socket.send(json.dumps({"type": "hello", "widget_token": stack.demo["widget_token"]}))
        await _receive(socket, "welcome")
        yield socket


@asynccontextmanager
async def _staff(stack: Stack) -> AsyncIterator[ClientConnection]:
    address = stack.base.replace("http", "ws") + "/ws/inbox"
    async with connect(address, open_timeout=PATIENCE_S, close_timeout=1) as socket:
        await socket.send(json.dumps({"type": "hello", "api_key": stack.demo["api_key"]}))
        await _receive(socket, "welcome")
        yield socket


async def _receive(socket: ClientConnection, *types: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            frame: dict[str, Any] = json.loads(await socket.recv())
            if frame["type"] in types:
                return frame


async def _close_code(socket: ClientConnection) -> int:
    """Read until the server closes; 0 when it does not, 1006 when it ends without a close frame."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await socket.recv()
    except websockets.ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006
    except TimeoutError:
        return 0


async def _alive(socket: ClientConnection) -> bool:
    """Whether a message is still acknowledged. The rate limit counts hostile messages too."""
    for _ in range(5):
        client_id = str(uuid.uuid4())
        await socket.send(json.dumps({"type": "message", "client_id": client_id, "text": "note still here"}))
        while (frame := await _receive(socket, "ack", "error")).get("client_id") != client_id:
            pass
        if frame["type"] == "ack":
            return True
        await asyncio.sleep(1)
    return False


class Bystander:
    """Another visitor, who writes all the while and has every message acknowledged."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._stop = asyncio.Event()
        self.waits_s: list[float] = []
        self.sent = 0

    async def write(self) -> None:
        async with _visitor(self._stack) as socket:
            while not self._stop.is_set():
                began = time.monotonic()
                self.sent += 1
                client_id = str(uuid.uuid4())
                await socket.send(json.dumps({"type": "message", "client_id": client_id, "text": f"note {self.sent}"}))
                while (await _receive(socket, "ack")).get("client_id") != client_id:
                    pass
                self.waits_s.append(time.monotonic() - began)
                await asyncio.sleep(0.3)

    def stop(self) -> None:
        self._stop.set()


@asynccontextmanager
async def _unharmed(stack: Stack) -> AsyncIterator[None]:
    """Around hostile work: same web process, little more memory, no unhandled error, the bystander served."""
    (pid,) = stack.roles()["web"]
    process, log_began = psutil.Process(pid), len(stack.log())
    bystander = Bystander(stack)
    writing = asyncio.ensure_future(bystander.write())
    await asyncio.sleep(0.5)
    before = process.memory_info().rss
    yield
    bystander.stop()
    await asyncio.wait_for(writing, PATIENCE_S)
    grown_mb = (process.memory_info().rss - before) / 2**20
    lines = stack.log()[log_began:].splitlines()
    said = [line for line in lines if line.startswith("web") and "Traceback" in line and HANDLED not in line]
    assert stack.roles()["web"] == [pid]
    assert len(bystander.waits_s) == bystander.sent > 0
    assert said == []
    assert grown_mb < 20


async def _in_turns(works: list[Any], width: int = 8) -> list[Any]:
    """Await all, `width` at a time, results in order."""
    gate = asyncio.Semaphore(width)

    async def one(work: Any) -> Any:
        async with gate:
            return await work

    return list(await asyncio.gather(*(one(work) for work in works)))


async def _after_raw(stack: Stack, data: bytes) -> int:
    async with _visitor(stack, compression=None) as socket:
        socket.transport.write(data)
        return await _close_code(socket)


async def test_bytes_that_break_the_protocol_close_the_socket(stack: Stack) -> None:
    await _in_turns([_after_raw(stack, RAW["binary"][0])] * 1)
    async with _unharmed(stack):
        codes = await _in_turns([_after_raw(stack, data) for data, _ in RAW.values()])
    found = dict(zip(RAW, codes, strict=True))
    assert {name: code for name, code in found.items() if code not in RAW[name][1]} == {}


async def _after_text(stack: Stack, text: str) -> int:
    async with _visitor(stack) as socket:
        await socket.send(text)
        return await _close_code(socket)


async def test_texts_that_are_no_frame_close_the_socket(stack: Stack) -> None:
    async with _unharmed(stack):
        codes = await _in_turns([_after_text(stack, text) for text, _ in TEXTS.values()])
    found = dict(zip(TEXTS, codes, strict=True))
    assert {name: code for name, code in found.items() if code != TEXTS[name][1]} == {}


async def test_a_bomb_of_compressed_bytes_is_refused(stack: Stack) -> None:
    """10 MB of one letter cross the wire as 10 kB."""
    async with _unharmed(stack), _visitor(stack, compression="deflate") as socket:
        await socket.send("a" * 10_000_000)
        code = await _close_code(socket)
    assert code == 1009


async def _answers(socket: ClientConnection, texts: list[str]) -> list[str]:
    """Send each and collect the types of the answers."""
    for text in texts:
        await socket.send(text)
    found = []
    try:
        async with asyncio.timeout(1.0):
            while True:
                found.append(json.loads(await socket.recv())["type"])
    except TimeoutError:
        return found


async def test_unknown_types_are_refused_and_twenty_close_the_socket(stack: Stack) -> None:
    async with _unharmed(stack), _visitor(stack) as socket:
        answers = await _answers(socket, UNKNOWN)
        alive = await _alive(socket)
        for _ in range(10):
            await socket.send(UNKNOWN[0])
        code = await _close_code(socket)
    assert answers == ["error"] * len(UNKNOWN)
    assert (alive, code) == (True, 1008)


async def _visitor_survives(stack: Stack, kind: str) -> bool:
    async with _visitor(stack) as socket:
        for text in wrong_frames(kind, VISITOR_FIELDS[kind]):
            await socket.send(text)
        return await _alive(socket)


async def test_wrong_types_in_any_field_leave_the_visitors_socket_open(stack: Stack) -> None:
    async with _unharmed(stack):
        alive = await _in_turns([_visitor_survives(stack, kind) for kind in VISITOR_FIELDS], width=3)
    assert dict(zip(VISITOR_FIELDS, alive, strict=True)) == dict.fromkeys(VISITOR_FIELDS, True)


async def _staff_survives(stack: Stack, kind: str) -> bool:
    async with _staff(stack) as socket:
        for text in wrong_frames(kind, STAFF_FIELDS[kind]):
            await socket.send(text)
        await socket.send(json.dumps({"type": "draft.cancel", "draft_id": "the last"}))
        while (await _receive(socket, "error")).get("draft_id") != "the last":
            pass
        return True


async def test_wrong_types_in_any_field_leave_the_staff_socket_open(stack: Stack) -> None:
    async with _unharmed(stack):
        alive = await _in_turns([_staff_survives(stack, kind) for kind in STAFF_FIELDS], width=3)
    assert alive == [True] * len(STAFF_FIELDS)


async def _hello_with(stack: Stack, name: str, value: Any) -> int:
    """Say hello with one odd field: 1 when welcomed, else the close code."""
    address = stack.base.replace("http", "ws") + "/ws/widget"
    hello = {"type": "hello", "widget_token": stack.demo["widget_token"], **HELLO_FIELDS, name: value}
    async with connect(address, origin=stack.base, open_timeout=PATIENCE_S, close_timeout=1) as socket:
        await socket.send(json.dumps(hello))
        if (await _receive(socket, "welcome", "error"))["type"] == "welcome":
            return 1
        return await _close_code(socket)


async def test_wrong_types_in_a_hello_are_ignored_or_refused(stack: Stack) -> None:
    tries = [(name, value) for name in [*HELLO_FIELDS, "widget_token"] for value in WRONG]
    async with _unharmed(stack):
        codes = await _in_turns([_hello_with(stack, name, value) for name, value in tries])
    found = {(name, repr(value)): code for (name, value), code in zip(tries, codes, strict=True)}
    refused = {key for key, code in found.items() if code == 4401}
    assert {key: code for key, code in found.items() if code not in {1, 4401}} == {}
    assert {name for name, _ in refused} == {"identity", "widget_token"}


async def test_a_flood_of_tiny_frames_is_cut(stack: Stack) -> None:
    async with _unharmed(stack), _visitor(stack) as socket:
        try:
            for _ in range(5000):
                await socket.send('{"type":"typing"}')
        except websockets.ConnectionClosed:
            pass
        code = await _close_code(socket)
    assert code in {4429, 1006}


async def test_a_flood_of_pings_hurts_nobody(stack: Stack) -> None:
    async with _unharmed(stack), _visitor(stack) as socket:
        for number in range(2000):
            await socket.ping(str(number))
        alive = await _alive(socket)
    assert alive


async def test_half_a_frame_waits_alone(stack: Stack) -> None:
    async with _unharmed(stack), _visitor(stack, compression=None) as socket:
        socket.transport.write(b"\x81\xfe\x40")
        await asyncio.sleep(2)


async def _silent(stack: Stack, path: str) -> tuple[int, float]:
    """Open a socket and say nothing: the close code, and after how many seconds it came."""
    began = time.monotonic()
    address = stack.base.replace("http", "ws") + path
    async with connect(address, origin=stack.base, open_timeout=PATIENCE_S, close_timeout=1) as socket:
        return await _close_code(socket), time.monotonic() - began


async def test_a_socket_that_says_nothing_is_closed_within_ten_seconds(stack: Stack) -> None:
    found = await asyncio.gather(_silent(stack, "/ws/widget"), _silent(stack, "/ws/inbox"))
    assert [code for code, _ in found] == [4401, 4401]
    assert max(seconds for _, seconds in found) < 12


async def test_an_unlisted_origin_is_refused_by_the_running_product(stack: Stack) -> None:
    address = stack.base.replace("http", "ws") + "/ws/widget"
    codes = []
    for origin in ("https://evil.example", "null", stack.base + ".evil.example", None):
        async with connect(address, origin=origin, close_timeout=1) as socket:  # type: ignore[arg-type]
            await socket.send(json.dumps({"type": "hello", "widget_token": stack.demo["widget_token"]}))
            codes.append(await _close_code(socket))
    assert codes == [4403] * 4
