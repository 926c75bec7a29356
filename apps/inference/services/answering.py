"""The worker's side of a call from another process."""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from redis.exceptions import RedisError

from apps.core.errors import AppError
from apps.core.redis import redis_client
from apps.inference.engine.errors import EngineError
from apps.inference.engine.generation import Event, Generation
from apps.inference.engine.host import EngineHost
from apps.inference.services.batches import items_from, run_local
from apps.inference.services.cancel import on_cancel
from apps.inference.services.explaining import attribution_payload, explain_local
from apps.inference.services.faults import app_error
from apps.inference.services.generation import pieces_payload, request_from_payload
from apps.inference.services.local import engine_stopping, local_engine
from apps.inference.services.rpc import ANSWER_TTL_S, payload_key, taken_key
from apps.inference.services.stats import worker_name
from apps.inference.services.streams import COALESCE_S, MAX_ENTRIES, stream_key
from apps.inference.types import GenerateStats, Piece

logger = logging.getLogger(__name__)


def request_answer(*, tenant_id: uuid.UUID, request_id: str) -> None:
    """Run one request of another process and write its answer. A request that is gone, late or answered is dropped.

    A generation is only started here: its answer is written by one thread for all of them, so the number of streams is
    not bound by the worker's threads.
    Effects: entries in the request's stream, which lives for 2 minutes after the last. Never raises: the caller gets
    errors through the stream, or its deadline when Redis is away.
    """
    try:
        key = payload_key(tenant_id, request_id)
        raw = redis_client().get(key)
        # Taken by one worker only: a message that the broker delivers twice must not give two answers.
        if raw is None or not redis_client().set(taken_key(key), worker_name(), nx=True, ex=ANSWER_TTL_S):
            return
        payload = json.loads(raw)
        answer = _Answer(tenant_id, request_id, payload["deadline_at"] - time.time())
        if answer.left_s <= 0:
            return
        engine = local_engine()
        try:
            if engine is None:
                answer.error("unavailable", "The models are not loaded in this worker.")
            elif payload["kind"] == "batch":
                _batch(engine, answer, payload)
            elif payload["kind"] == "explain":
                found = explain_local(engine, payload, tenant_id, answer.left_s, payload["priority"])
                answer.write("end", attribution_payload(found))
            else:
                _generate(engine, answer, payload)
        except EngineError as error:
            answer.fail(error)
        except Exception:
            logger.exception("request %s failed", request_id)
            answer.error("unavailable", "The request failed.")
    except RedisError:
        logger.warning("Redis went away during request %s", request_id)


class _Answer:
    """Makes the entries of one answer. Entries are numbered, so that the reader sees when a flush has taken some."""

    def __init__(self, tenant_id: uuid.UUID, request_id: str, left_s: float) -> None:
        self.tenant_id, self.request_id, self.left_s = tenant_id, request_id, left_s
        self._key = stream_key(tenant_id, request_id)
        self._count = 0

    def add(self, pipe: Any, kind: str, data: Any, **fields: str | bytes) -> None:
        """Add an entry to a pipeline."""
        entry: Mapping[Any, Any] = {"k": kind, "d": json.dumps(data), "n": self._count, **fields}
        pipe.xadd(self._key, dict(entry), maxlen=MAX_ENTRIES, approximate=True)
        if not self._count or kind != "delta":
            pipe.expire(self._key, ANSWER_TTL_S + int(max(0.0, self.left_s)))
        self._count += 1

    def write(self, kind: str, data: Any, **fields: str | bytes) -> None:
        """Write one entry."""
        pipe = redis_client().pipeline(transaction=False)
        self.add(pipe, kind, data, **fields)
        pipe.execute()

    def error(self, code: str, message: str, details: Any = None) -> None:
        """Write the entry that ends the answer with an error."""
        self.write("error", {"code": code, "message": message, "details": details})

    def fail(self, error: EngineError) -> None:
        """Write an engine's error as callers see it."""
        self.error(**error_fields(error))


def error_fields(error: EngineError) -> dict[str, Any]:
    """Return code, message and details of what callers see for an engine error."""
    if engine_stopping():
        return {"code": "unavailable", "message": "The worker is restarting.", "details": None}
    shown: AppError = app_error(error)
    return {"code": shown.code, "message": str(shown.message), "details": shown.details}


def _batch(engine: EngineHost, answer: _Answer, payload: dict[str, Any]) -> None:
    role = payload["role"]
    result = run_local(
        engine,
        role,
        items_from(role, payload["items"]),
        answer.tenant_id,
        answer.left_s,
        payload["priority"],
        payload["model"],
    )
    values = result.pop("values")
    if role in ("embedding", "classifier", "reranker"):
        # Binary: a vector as JSON is four times as long and slow on both sides.
        answer.write("end", result, v=np.asarray(values, dtype="<f4").tobytes())
    else:
        answer.write("end", result | {"values": values})


def _generate(engine: EngineHost, answer: _Answer, payload: dict[str, Any]) -> None:
    generation = engine.generate(
        request_from_payload(payload),
        deadline_s=answer.left_s,
        priority=payload["priority"],
        tenant=str(answer.tenant_id),
    )
    _pump.follow(answer, generation)


class _Stream:
    """One generation on its way to its caller."""

    def __init__(self, answer: _Answer, unwatch: Callable[[], None]) -> None:
        self.answer, self.unwatch = answer, unwatch
        self.events: deque[Event] = deque()
        self.next_write = 0.0


class _Pump:
    """One thread that writes the pieces of all generations: the first at once, then at most every 40 ms, in one trip.

    What Redis does not take is lost with the request: the reader sees the gap in the numbers and asks again.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._dirty: dict[int, _Stream] = {}
        self._thread: threading.Thread | None = None

    def follow(self, answer: _Answer, generation: Generation) -> None:
        """Write what `generation` gives to `answer` until it ends; a cancelled request closes it."""
        stream = _Stream(answer, on_cancel(answer.tenant_id, answer.request_id, generation.close))
        with self._condition:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="answer-pump", daemon=True)
                self._thread.start()
        generation.listen(lambda event: self._take(stream, event))

    def _take(self, stream: _Stream, event: Event) -> None:
        with self._condition:
            stream.events.append(event)
            self._dirty[id(stream)] = stream
            if not isinstance(event, Piece) or stream.next_write <= time.monotonic():
                self._condition.notify()

    def _run(self) -> None:
        while True:
            with self._condition:
                while not (due := self._due()):
                    soonest = min((stream.next_write for stream in self._dirty.values()), default=None)
                    self._condition.wait(None if soonest is None else max(0.001, soonest - time.monotonic()))
                batches = [(stream, self._drained(stream)) for stream in due]
            try:
                self._write(batches)
            except RedisError:
                logger.warning("Redis did not take the pieces of %d generations", len(batches))
            except Exception:
                logger.exception("pieces could not be written")

    def _due(self) -> list[_Stream]:
        now = time.monotonic()
        return [
            stream
            for stream in self._dirty.values()
            if stream.next_write <= now or not isinstance(stream.events[-1], Piece)
        ]

    def _drained(self, stream: _Stream) -> list[Event]:
        events = list(stream.events)
        stream.events.clear()
        stream.next_write = time.monotonic() + COALESCE_S
        del self._dirty[id(stream)]
        return events

    def _write(self, batches: list[tuple[_Stream, list[Event]]]) -> None:
        pipe = redis_client().pipeline(transaction=False)
        for stream, events in batches:
            pieces = [event for event in events if isinstance(event, Piece)]
            if pieces:
                stream.answer.add(pipe, "delta", pieces_payload(_joined(pieces)))
            last = events[-1]
            if isinstance(last, GenerateStats):
                stream.answer.add(pipe, "end", asdict(last))
            elif isinstance(last, EngineError):
                stream.answer.add(pipe, "error", error_fields(last))
            if not isinstance(last, Piece):
                stream.unwatch()
        pipe.execute()


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Join neighbouring pieces of one choice."""
    joined: list[Piece] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if last is not None and last.index == piece.index:
            joined[-1] = Piece(
                last.text + piece.text, last.tokens + piece.tokens, piece.index, last.logprobs + piece.logprobs
            )
        else:
            joined.append(piece)
    return joined


_pump = _Pump()
