"""The load generator reads any server's stream, however it is cut, and counts what the server says."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from bench.load import ServerError, complete_all

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def event(**fields: object) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def delta(text: str) -> bytes:
    return event(choices=[{"index": 0, "delta": {"content": text}}])


USAGE = event(choices=[], usage={"prompt_tokens": 3, "completion_tokens": 7})
DONE = b"data: [DONE]\n\n"


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return OK + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@contextmanager
def serving(answer: bytes, requests: list[bytes]) -> Iterator[str]:
    """A server that reads a request, sends `answer` and closes."""
    loop, address = asyncio.new_event_loop(), []
    ready = threading.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(next(line for line in head.split(b"\r\n") if line.startswith(b"Content-Length")).split(b":")[1])
        requests.append(head + await reader.readexactly(length))
        writer.write(answer)
        await writer.drain()
        writer.close()

    async def start() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        address.append(server.sockets[0].getsockname()[1])
        ready.set()

    def run() -> None:
        loop.create_task(start())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(10)
    yield f"http://127.0.0.1:{address[0]}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


def ask(answer: bytes, prompts: Sequence[str] = ("one",)) -> tuple[dict, list[bytes]]:
    requests: list[bytes] = []
    with serving(answer, requests) as base:
        turns = [[{"role": "user", "content": text}] for text in prompts]
        return complete_all(base, "m", turns, max_tokens=5, api_key="key"), requests


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_events_are_read_however_they_are_cut(size: int) -> None:
    got, _ = ask(chunked(delta("Hel") + b": ping\n\n" + delta("lo") + USAGE + DONE, size))
    assert (got["texts"], got["tokens"]) == (["Hello"], [7])
    assert 0 < got["first_s"][0] <= got["seconds"]


def test_a_body_without_chunks_is_read_to_its_end() -> None:
    got, _ = ask(OK.replace(b"Transfer-Encoding: chunked\r\n", b"") + delta("a") + delta("b") + USAGE.rstrip())
    assert (got["texts"], got["tokens"]) == (["ab"], [7])


def test_without_usage_a_piece_counts_as_a_token() -> None:
    got, _ = ask(chunked(delta("a") + delta("b") + DONE, 50))
    assert got["tokens"] == [2]


def test_every_prompt_is_a_request_of_its_own_with_the_key() -> None:
    got, requests = ask(chunked(delta("a") + USAGE + DONE, 50), ("one", "two", "three"))
    assert got["tokens"] == [7, 7, 7]
    assert sorted(json.loads(r.split(b"\r\n\r\n", 1)[1])["messages"][0]["content"] for r in requests) == [
        "one",
        "three",
        "two",
    ]
    assert [b"Authorization: Bearer key" in request for request in requests] == [True] * 3


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusy", "HTTP 503: busy"),
        (chunked(delta("a") + event(error={"message": "too slow"}), 50), "too slow"),
    ],
)
def test_a_refusal_is_an_error_and_no_figure(answer: bytes, says: str) -> None:
    with pytest.raises(ServerError, match=says):
        ask(answer)


def test_a_stream_that_breaks_off_is_an_error_and_no_figure() -> None:
    with pytest.raises(EOFError):
        ask(chunked(delta("a"), 50)[:-12])


def test_an_answer_without_text_is_an_error_and_no_figure() -> None:
    with pytest.raises(RuntimeError, match="no token"):
        ask(chunked(USAGE + DONE, 50))
