"""The load generator: streams of `/v1/chat/completions` at once, read with as little work as possible.

The client shares the machine with what it measures. httpx takes about 0.15 ms for a chunk, which at 1000 tokens a second
would be a seventh of a core; this one reads the chunks itself.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from bench.peers.chat import Answers

TIMEOUT_S = 600.0


class ServerError(Exception):
    """The server refused, or its stream ended with an error."""


def complete_all(
    base_url: str, model: str, prompts: Sequence[Any], *, max_tokens: int, api_key: str = ""
) -> dict[str, Any]:
    """Stream greedy answers to all prompts at once; return what `Answers` does. Raises ServerError, OSError."""
    import uvloop

    async def go() -> dict[str, Any]:
        answers = Answers(len(prompts))
        async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as group:
            for index, messages in enumerate(prompts):
                body = {"model": model, "messages": messages, "max_tokens": max_tokens, "temperature": 0}
                group.create_task(_complete(base_url, body, api_key, answers, index))
        return answers.result()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(go())
        except ExceptionGroup as group:
            raise group.exceptions[0] from None


async def _complete(base_url: str, body: Mapping[str, Any], api_key: str, answers: Answers, index: int) -> None:
    asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
    text, tokens, pieces = [], 0, 0
    async for event in stream_events(f"{base_url}/v1/chat/completions", asked, api_key):
        if "error" in event:
            raise ServerError(str(event["error"])[:300])
        for choice in event.get("choices", ()):
            if piece := choice["delta"].get("content"):
                answers.started(index)
                text.append(piece)
                pieces += 1
        if event.get("usage"):
            tokens = event["usage"]["completion_tokens"]
    # A server that tells no usage sends a piece a token.
    answers.ended(index, tokens or pieces, "".join(text))


async def stream_events(url: str, body: Mapping[str, Any], api_key: str = "") -> AsyncIterator[dict[str, Any]]:
    """POST `body` and yield the objects of the server-sent events, to `[DONE]` or the end. Raises ServerError."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    content = json.dumps(body).encode()
    head = (
        f"POST {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nAuthorization: Bearer {api_key}\r\nConnection: close\r\n\r\n"
    )
    try:
        writer.write(head.encode() + content)
        status, chunked = await _read_head(reader)
        if status != 200:
            raise ServerError(f"HTTP {status}: {(await reader.read(300)).decode(errors='replace')}")
        async for line in _lines(reader, chunked=chunked):
            if line.startswith(b"data:"):
                data = line[5:].strip()
                if data == b"[DONE]":
                    return
                yield json.loads(data)
    finally:
        writer.close()


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Return the status and whether the body is chunked."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    return int(head.split(" ", 2)[1]), "transfer-encoding: chunked" in head


async def _lines(reader: asyncio.StreamReader, *, chunked: bool) -> AsyncIterator[bytes]:
    """Yield the lines of the body, however they are cut into chunks."""
    rest = b""
    while True:
        if chunked:
            size = int((await reader.readline()).split(b";")[0] or b"0", 16)
            block = (await reader.readexactly(size + 2))[:-2]
        else:
            block = await reader.read(65536)
        if not block:
            break
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            yield line
    if rest:
        yield rest
