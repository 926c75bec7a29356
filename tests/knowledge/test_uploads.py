"""Bodies are bounded while they are read, whatever they say about themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from apps.knowledge.uploads import BodyLimit

UPLOADS = ("/api/v1/knowledge/sources",)


class App:
    """Reads the whole body as Django does, then answers."""

    def __init__(self) -> None:
        self.read = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            message = await receive()
            self.read += len(message.get("body", b""))
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


async def request(
    app: App, chunks: AsyncIterator[bytes], *, path: str = "/x", declared: bytes | None = None
) -> tuple[int, Any]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        chunk = await anext(chunks, None)
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [] if declared is None else [(b"content-length", declared)]
    limited = BodyLimit(app, upload_paths=UPLOADS)
    await limited({"type": "http", "path": path, "headers": headers}, receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], body


async def endless(size: int = 65536, wait_s: float = 0.0, count: int = 10**9) -> AsyncIterator[bytes]:
    for _ in range(count):
        if wait_s:
            await asyncio.sleep(wait_s)
        yield b"x" * size


@pytest.fixture(autouse=True)
def _limits(settings: Any) -> None:
    settings.KNOWLEDGE_MAX_REQUEST_BYTES = 4_000_000
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000


@pytest.mark.parametrize("declared", [None, b"10", b"0", b"nonsense"])
async def test_endless_body_is_cut_at_the_limit(declared: bytes | None) -> None:
    app = App()
    status, body = await request(app, endless(), declared=declared)
    assert (status, json.loads(body)["error"]["code"]) == (413, "too_large")
    assert app.read <= 1_000_000 + BodyLimit.form_bytes


async def test_body_that_says_it_is_huge_is_not_read() -> None:
    app = App()
    status, _ = await request(app, endless(), declared=b"10000000000")
    assert (status, app.read) == (413, 0)


@pytest.mark.parametrize(("path", "status"), [("/x", 413), ("/api/v1/knowledge/sources", 200)])
async def test_uploads_may_be_larger_than_other_bodies(path: str, status: int) -> None:
    assert (await request(App(), endless(count=50), path=path))[0] == status


async def test_drip_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BodyLimit, "grace_s", 0.2)
    status, body = await request(App(), endless(size=1, wait_s=0.01), path="/api/v1/knowledge/sources")
    assert (status, json.loads(body)["error"]["code"]) == (408, "too_slow")


async def test_silence_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BodyLimit, "idle_s", 0.1)
    assert (await request(App(), endless(wait_s=5)))[0] == 408


async def test_fair_body_passes() -> None:
    app = App()
    assert await request(app, endless(size=1000, count=10)) == (200, b"ok")
    assert app.read == 10_000


@pytest.mark.parametrize(("path", "ours"), [("/v1/x", True), ("/v2/x", False)])
async def test_a_refusal_below_a_path_has_the_shape_of_that_path(path: str, ours: bool) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    def shape(status: int, code: str, message: str) -> dict[str, Any]:
        return {"ours": [status, code]}

    limited = BodyLimit(App(), upload_paths=UPLOADS, shapes={"/v1/": shape})
    await limited({"type": "http", "path": path, "headers": [(b"content-length", b"99999999")]}, None, send)
    assert sent[0]["status"] == 413
    assert (json.loads(sent[1]["body"]) == {"ours": [413, "too_large"]}) is ours
