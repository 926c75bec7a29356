"""H1, I7: 300 slow connections with invented keys beside a caller with a right one.

`SLOW_SECONDS` (default 10) says how long each of the two phases lasts.
"""

from __future__ import annotations

import asyncio
import collections
import json
import os
import time
from dataclasses import dataclass, field

import pytest

from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.models, pytest.mark.timeout(600)]

SECONDS = float(os.environ.get("SLOW_SECONDS", "10"))
SLOW = 300
PATHS = ("/v1/embeddings", "/tei/embed", "/libretranslate/translate", "/api/v1/jobs")


@dataclass
class Answers:
    """What the caller with the right key was told, and how long each call took."""

    statuses: collections.Counter[int] = field(default_factory=collections.Counter)
    took_s: list[float] = field(default_factory=list)

    def p95_ms(self) -> float:
        return 1000 * sorted(self.took_s)[int(len(self.took_s) * 0.95)]


async def ask(stack: Stack, answers: Answers) -> None:
    """One embedding with the demo's key, on a connection of its own."""
    body = json.dumps({"model": stack.demo["embedding_model"], "input": "Where is my parcel?"}).encode()
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
    writer.write(
        f"POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {stack.demo['api_key']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        + body
    )
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    answers.statuses[int(answer[9:12] or 0)] += 1
    answers.took_s.append(time.monotonic() - began)


async def phase(stack: Stack, seconds: float) -> Answers:
    answers, end = Answers(), time.monotonic() + seconds
    while time.monotonic() < end:
        await ask(stack, answers)
    return answers


async def slow(stack: Stack, number: int, seen: collections.Counter[str], ended: asyncio.Event) -> None:
    """Begin a call with an invented key and go on with a byte a second; again when the server has ended it."""
    # Every third never ends its headers: the key is not even there yet.
    head = f"POST {PATHS[number % 4]} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer nls_invented{number}\r\n"
    tail = "" if number % 3 == 0 else "Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n{"
    while not ended.is_set():
        reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
        seen["opened"] += 1
        writer.write((head + tail).encode())
        answer = asyncio.ensure_future(reader.read())
        while not answer.done() and not ended.is_set():
            writer.write(b"X" if tail else b"X-A: b\r\n")
            await asyncio.wait({answer}, timeout=1)
        if answer.done() and not answer.exception():
            seen[(answer.result()[9:12] or b"cut").decode()] += 1
        answer.cancel()
        writer.close()


async def both(stack: Stack) -> tuple[Answers, Answers, collections.Counter[str]]:
    await phase(stack, 2)  # the model is warm
    alone = await phase(stack, SECONDS)
    seen: collections.Counter[str] = collections.Counter()
    ended = asyncio.Event()
    running = [asyncio.ensure_future(slow(stack, number, seen, ended)) for number in range(SLOW)]
    while seen["opened"] < SLOW:
        await asyncio.sleep(0.05)
    beside = await phase(stack, SECONDS)
    ended.set()
    await asyncio.gather(*running, return_exceptions=True)
    return alone, beside, seen


def test_slow_connections_with_invented_keys_stop_nobody(stack: Stack) -> None:
    """256 of them used to take every place: a right key was answered 429 at /v1, /tei and /libretranslate."""
    alone, beside, seen = asyncio.run(both(stack))
    print(
        f"alone {len(alone.took_s)} calls, p95 {alone.p95_ms():.0f} ms; beside {SLOW} slow connections "
        f"{len(beside.took_s)} calls, p95 {beside.p95_ms():.0f} ms, refused "
        f"{beside.statuses.total() - beside.statuses[200]}; the slow ones: {dict(seen)}"
    )
    assert dict(alone.statuses) == {200: alone.statuses.total()}
    assert dict(beside.statuses) == {200: beside.statuses.total()}
    assert beside.statuses[200] > 0
    assert seen["401"] > 0
    with stack.client() as client:
        assert client.get("/inbox/", follow_redirects=True).status_code == 200
