"""The first door of the model routes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from apps.model_api import gate as gate_module
from apps.model_api.gate import CallGate
from apps.model_api.openai.errors import refusal_body as openai_refusal
from apps.model_api.tei.errors import refusal_body as tei_refusal


class Inner:
    """An application that answers when it is let."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.calls = 0

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.calls += 1
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def call(gate: CallGate, path: str = "/v1/chat/completions", key: str = "a") -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "path": path, "headers": [(b"authorization", f"Bearer {key}".encode())]}
    await gate(scope, None, send)
    return sent


def shape(status: int, code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "status": status}}


@pytest.fixture
def gate(settings: Any) -> tuple[CallGate, Inner]:
    settings.API_MAX_IN_FLIGHT, settings.API_MAX_IN_FLIGHT_PER_KEY = 3, 2
    inner = Inner()
    return CallGate(inner, shapes={"/v1/": shape}), inner


async def test_one_key_is_refused_above_its_share_and_others_are_not(gate: tuple[CallGate, Inner]) -> None:
    door, inner = gate
    running = [asyncio.ensure_future(call(door)) for _ in range(2)]
    await asyncio.sleep(0)
    start, body = await call(door)
    assert start["status"] == 429
    assert (b"retry-after", b"1") in start["headers"]
    assert json.loads(body["body"])["error"]["code"] == "overloaded"
    running.append(asyncio.ensure_future(call(door, key="b")))
    await asyncio.sleep(0)
    assert inner.calls == 3
    assert (await call(door, key="c"))[0]["status"] == 429
    inner.go.set()
    assert [answers[0]["status"] for answers in await asyncio.gather(*running)] == [200] * 3
    assert (await call(door))[0]["status"] == 200


async def test_places_come_back_from_calls_that_break_or_are_given_up(gate: tuple[CallGate, Inner]) -> None:
    door, inner = gate
    running = [asyncio.ensure_future(call(door)) for _ in range(2)]
    await asyncio.sleep(0)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    inner.go.set()
    assert (await call(door))[0]["status"] == 200


async def test_other_paths_are_not_counted(gate: tuple[CallGate, Inner]) -> None:
    door, inner = gate
    inner.go.set()
    statuses = [(await call(door, path="/inbox/"))[0]["status"] for _ in range(5)]
    assert statuses == [200] * 5


async def test_a_health_check_passes_a_full_gate(settings: Any) -> None:
    settings.API_MAX_IN_FLIGHT = 0
    inner = Inner()
    inner.go.set()
    door = CallGate(inner, shapes={"/tei": shape})
    assert [(await call(door, path=path))[0]["status"] for path in ("/tei/health", "/tei/info")] == [200, 429]


async def test_a_reader_that_takes_nothing_is_cut_off_and_frees_its_place(
    gate: tuple[CallGate, Inner], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_module, "STALLED_S", 0.05)
    door, inner = gate
    inner.go.set()

    async def stalled(message: dict[str, Any]) -> None:
        await asyncio.Event().wait()

    stuck = [door({"type": "http", "path": "/v1/models", "headers": []}, None, stalled) for _ in range(2)]
    await asyncio.wait_for(asyncio.gather(*stuck), 5)
    assert (await call(door))[0]["status"] == 200


def test_a_refusal_has_the_shape_of_its_routes() -> None:
    openai, tei = openai_refusal(429, "overloaded", "m"), tei_refusal(429, "overloaded", "m")
    assert openai == {"error": {"message": "m", "type": "overloaded", "param": None, "code": "overloaded"}}
    assert tei == {"error": "m", "error_type": "overloaded"}
