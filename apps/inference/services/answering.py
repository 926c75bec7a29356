"""The worker's side of a call from another process."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from redis.exceptions import RedisError

from apps.core.errors import AppError
from apps.core.redis import redis_client
from apps.inference.services.cancel import stop_signal
from apps.inference.services.embedding import embed_texts
from apps.inference.services.generation import generate_stream, request_from_payload
from apps.inference.services.local import EngineStopping, local_engine
from apps.inference.services.rpc import ANSWER_TTL_S, payload_key, taken_key
from apps.inference.services.streams import COALESCE_S, MAX_ENTRIES, stream_key

logger = logging.getLogger(__name__)


def request_answer(*, tenant_id: uuid.UUID, request_id: str) -> None:
    """Run one request of another process and write its answer. A request that is gone, late or answered is dropped.

    Effects: entries in the request's stream, which lives for 2 minutes after the last. Never raises: the caller gets
    errors through the stream, or its deadline when Redis is away.
    """
    try:
        key = payload_key(tenant_id, request_id)
        raw = redis_client().get(key)
        # Taken by one worker only: a message that the broker delivers twice must not give two answers.
        if raw is None or not redis_client().set(taken_key(key), b"1", nx=True, ex=ANSWER_TTL_S):
            return
        payload = json.loads(raw)
        answer = _Answer(tenant_id, request_id, payload["deadline_at"] - time.time())
        if answer.left_s <= 0:
            return
        try:
            if local_engine() is None:
                answer.error("unavailable", "The models are not loaded in this worker.")
            elif payload["kind"] == "embed":
                _embed(answer, payload)
            else:
                _generate(answer, payload)
        except AppError as error:
            answer.error(error.code, str(error.message))
        except EngineStopping:
            answer.error("unavailable", "The worker is restarting.")
    except RedisError:
        logger.warning("Redis went away during request %s", request_id)


class _Answer:
    """Writes the entries of one answer."""

    def __init__(self, tenant_id: uuid.UUID, request_id: str, left_s: float) -> None:
        self.tenant_id, self.request_id, self.left_s = tenant_id, request_id, left_s
        self._key = stream_key(tenant_id, request_id)
        # Entries are numbered, so that the reader sees when a flush has taken some.
        self._count = 0

    def write(self, kind: str, data: Any, **fields: str | bytes) -> None:
        entry: Mapping[Any, Any] = {"k": kind, "d": json.dumps(data), "n": self._count, **fields}
        self._count += 1
        pipe = redis_client().pipeline(transaction=False)
        pipe.xadd(self._key, dict(entry), maxlen=MAX_ENTRIES, approximate=True)
        pipe.expire(self._key, ANSWER_TTL_S)
        pipe.execute()

    def error(self, code: str, message: str) -> None:
        self.write("error", {"code": code, "message": message})


def _embed(answer: _Answer, payload: dict[str, Any]) -> None:
    result = embed_texts(
        payload["texts"], tenant_id=answer.tenant_id, deadline_s=answer.left_s, priority=payload["priority"]
    )
    answer.write("end", result.truncated, v=result.vectors.astype("<f4").tobytes())


def _generate(answer: _Answer, payload: dict[str, Any]) -> None:
    """Write pieces, joined to at most one entry per 40 ms after the first, then the statistics."""
    text, tokens, last = "", 0, 0.0
    with stop_signal(answer.tenant_id, answer.request_id) as stopped:
        stream = generate_stream(
            request_from_payload(payload), tenant_id=answer.tenant_id, deadline_s=answer.left_s, should_stop=stopped
        )
        with stream:
            for piece in stream:
                text, tokens = text + piece.text, tokens + piece.tokens
                if text and time.monotonic() - last >= COALESCE_S:
                    answer.write("delta", {"tokens": tokens}, t=text)
                    text, tokens, last = "", 0, time.monotonic()
    if text or tokens:
        answer.write("delta", {"tokens": tokens}, t=text)
    if stream.stats is not None:
        answer.write("end", asdict(stream.stats))
