"""Streamed generation, from any process."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from apps.inference.engine.errors import EngineError
from apps.inference.engine.host import EngineHost
from apps.inference.engine.types import FinishReason
from apps.inference.services.faults import app_error, clean_text
from apps.inference.services.local import EngineStopping, engine_stopping, local_engine
from apps.inference.services.rpc import RemoteCall
from apps.inference.types import ChatMessage, GenerateRequest, GenerateStats, Piece, Priority, TokenLogprob

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
    cleaned = request_clean(request)
    engine = local_engine()
    if engine is not None:
        return GenerationStream(_local(engine, cleaned, tenant_id, deadline_s, should_stop, priority))
    return GenerationStream(_remote(cleaned, tenant_id, deadline_s, should_stop, priority))


def request_clean(request: GenerateRequest) -> GenerateRequest:
    """Return the request with texts that every tokenizer accepts."""
    messages = tuple(ChatMessage(turn.role, clean_text(turn.content)) for turn in request.messages)
    prompt = None if request.prompt is None else clean_text(request.prompt)
    return replace(request, messages=messages, prompt=prompt)


def _local(
    engine: EngineHost,
    request: GenerateRequest,
    tenant_id: uuid.UUID,
    deadline_s: float,
    should_stop: Callable[[], bool],
    priority: Priority,
) -> Generator[Piece, None, GenerateStats]:
    try:
        generation = engine.generate(request, deadline_s=deadline_s, priority=priority, tenant=str(tenant_id))
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
            if fields[b"k"] == b"end":
                return stats_from(json.loads(fields[b"d"]))
            for piece in pieces_from(json.loads(fields[b"d"])):
                first_s = first_s or time.monotonic() - began
                tokens += piece.tokens
                yield piece
    reason: FinishReason = "cancelled"
    return GenerateStats(0, tokens, first_s, time.monotonic() - began, reason, (reason,) * request.n)


def pieces_payload(pieces: Sequence[Piece]) -> list[list[Any]]:
    """Return pieces as plain values."""
    return [
        [piece.index, piece.text, piece.tokens, [[one.text, one.logprob, one.top] for one in piece.logprobs]]
        for piece in pieces
    ]


def pieces_from(items: list[list[Any]]) -> list[Piece]:
    """Return the pieces that `pieces_payload` wrote."""
    return [
        Piece(
            text,
            tokens,
            index,
            tuple(TokenLogprob(token, value, tuple((other, p) for other, p in top)) for token, value, top in logprobs),
        )
        for index, text, tokens, logprobs in items
    ]


def stats_from(fields: dict[str, Any]) -> GenerateStats:
    """Return the statistics that were written as plain values."""
    return GenerateStats(**fields | {"finish_reasons": tuple(fields["finish_reasons"])})


def request_payload(request: GenerateRequest) -> dict[str, Any]:
    """Return a generation request as plain values."""
    return {"kind": "generate", "request": asdict(request)}


def request_from_payload(payload: dict[str, Any]) -> GenerateRequest:
    """Return the request that `request_payload` wrote."""
    fields = dict(payload["request"])
    fields["messages"] = tuple(ChatMessage(**turn) for turn in fields["messages"])
    fields["stop"] = tuple(fields["stop"])
    return GenerateRequest(**fields)
