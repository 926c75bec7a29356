"""Streamed generation, from any process."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from typing import Any

from apps.inference.engine.errors import EngineError
from apps.inference.engine.host import EngineHost
from apps.inference.services.faults import app_error, clean_text
from apps.inference.services.local import EngineStopping, engine_stopping, local_engine
from apps.inference.services.rpc import RemoteCall
from apps.inference.types import ChatMessage, GenerateRequest, GenerateStats, Piece, Priority

# How often a generation that is silent looks whether it should stop.
_POLL_S = 0.05


class GenerationStream(Iterator[Piece]):
    """Iterate for pieces; `stats` is set at the end. `close` (or `should_stop`) makes the engine stop computing."""

    def __init__(self, source: Generator[Piece, None, GenerateStats]) -> None:
        self._source = source
        self.stats: GenerateStats | None = None

    def __next__(self) -> Piece:
        try:
            return next(self._source)
        except StopIteration as end:
            if self.stats is None:
                self.stats = end.value
            raise StopIteration(self.stats) from None

    def close(self) -> None:
        """Stop the generation; harmless when it has ended."""
        self._source.close()

    def __enter__(self) -> GenerationStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _never() -> bool:
    return False


def generate_stream(
    request: GenerateRequest,
    *,
    tenant_id: uuid.UUID,
    deadline_s: float = 30.0,
    should_stop: Callable[[], bool] = _never,
    priority: Priority = "live",
) -> GenerationStream:
    """Start a generation at the first `next` and give its text piece by piece.

    Stops:  when `should_stop()` turns true the stream ends (finish_reason "cancelled"); it and `close` stop the
            engine's own work within one step (20 to 200 ms).
    Limits: prompt and answer share the model's context; `max_tokens` is cut to what is left.
    Errors: Busy, DeadlineExceeded (also in the middle), Invalid "prompt_too_long", Unavailable; EngineStopping in a
            worker that shuts down.
    """
    messages = tuple(ChatMessage(turn.role, clean_text(turn.content)) for turn in request.messages)
    cleaned = GenerateRequest(
        messages=messages,
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        stop=request.stop,
        seed=request.seed,
        model=request.model,
    )
    engine = local_engine()
    if engine is not None:
        return GenerationStream(_local(engine, cleaned, deadline_s, should_stop))
    return GenerationStream(_remote(cleaned, tenant_id, deadline_s, should_stop, priority))


def _local(
    engine: EngineHost, request: GenerateRequest, deadline_s: float, should_stop: Callable[[], bool]
) -> Generator[Piece, None, GenerateStats]:
    try:
        generation = engine.generate(request, deadline_s=deadline_s)
        try:
            while generation.stats is None:
                if should_stop():
                    generation.close()
                    break
                piece = generation.poll(_POLL_S)
                if piece is not None:
                    yield piece
        finally:
            generation.close()
    except EngineError as error:
        if engine_stopping():
            raise EngineStopping from error
        raise app_error(error) from error
    if engine_stopping():
        raise EngineStopping
    assert generation.stats is not None  # noqa: S101  (close sets it)
    return generation.stats


def _remote(
    request: GenerateRequest,
    tenant_id: uuid.UUID,
    deadline_s: float,
    should_stop: Callable[[], bool],
    priority: Priority,
) -> Generator[Piece, None, GenerateStats]:
    if engine_stopping():
        raise EngineStopping
    began, first_s, tokens = time.monotonic(), 0.0, 0
    with RemoteCall(tenant_id, request_payload(request), deadline_s=deadline_s, priority=priority) as call:
        for fields in call.answers():
            if should_stop():
                break
            if fields is None:
                continue
            data: dict[str, Any] = json.loads(fields[b"d"])
            if fields[b"k"] == b"end":
                return GenerateStats(**data)
            first_s = first_s or time.monotonic() - began
            tokens += data["tokens"]
            yield Piece(fields[b"t"].decode(), data["tokens"])
    return GenerateStats(0, tokens, first_s, time.monotonic() - began, "cancelled")


def request_payload(request: GenerateRequest) -> dict[str, Any]:
    """Return a generation request as plain values."""
    return {
        "kind": "generate",
        "messages": [[turn.role, turn.content] for turn in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": list(request.stop),
        "seed": request.seed,
        "model": request.model,
    }


def request_from_payload(payload: dict[str, Any]) -> GenerateRequest:
    """Return the request that `request_payload` wrote."""
    return GenerateRequest(
        messages=tuple(ChatMessage(role, content) for role, content in payload["messages"]),
        max_tokens=payload["max_tokens"],
        temperature=payload["temperature"],
        top_p=payload["top_p"],
        stop=tuple(payload["stop"]),
        seed=payload["seed"],
        model=payload["model"],
    )
