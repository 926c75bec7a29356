"""Reaching the models from a process that has none: a payload in Redis, a Celery message, an answer in a stream.

`t:{tenant}:infer:{id}` holds the payload (JSON) until the deadline; `t:{tenant}:reply:{id}` receives the answer.
There is no database row: when Redis is flushed the caller gets 503 with Retry-After and asks again.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from celery import current_app
from django.conf import settings
from redis.exceptions import RedisError

from apps.core.errors import DeadlineExceeded, Unavailable
from apps.core.ids import new_id
from apps.core.redis import redis_client, tenant_key
from apps.inference.services.cancel import cancel_request
from apps.inference.services.faults import RETRY_AFTER_S, app_error_from, redis_unavailable
from apps.inference.services.permits import permit_free, permit_take, tenant_bound
from apps.inference.services.stats import worker_lost
from apps.inference.services.streams import stream_key

TASK = "apps.inference.tasks.infer_task"
QUEUE = "inference"
# Also how soon a caller notices that Redis has lost the request, or that it should stop.
_BLOCK_MS = 250
# The worker ends at the deadline by itself; the caller waits a little longer for it to say so.
_GRACE_S = 1.0
# A Celery message that is lost between two Redis commands must not leave its answer behind for ever.
ANSWER_TTL_S = 120


def payload_key(tenant_id: uuid.UUID, request_id: str) -> str:
    """Return the Redis key of a request's payload."""
    return tenant_key(tenant_id, "infer", request_id)


def taken_key(payload: str) -> str:
    """Return the key that says that a worker has taken the payload under this key."""
    return f"{payload}:taken"


def _queue_key(priority: str) -> str:
    return f"infer:queue:{priority}"


def calls_in_flight() -> dict[str, int]:
    """Return {class: number} of the calls from other processes that wait or run. Raises Unavailable without Redis."""
    classes = list(settings.INFERENCE_QUEUE_BOUNDS)
    with redis_unavailable():
        pipe = redis_client().pipeline(transaction=False)
        for name in classes:
            pipe.zcount(_queue_key(name), time.time(), "+inf")
        return dict(zip(classes, pipe.execute(), strict=True))


class RemoteCall:
    """One request to the inference worker. Use as a context manager: leaving it frees the queue's place."""

    def __init__(self, tenant_id: uuid.UUID, payload: Mapping[str, Any], *, deadline_s: float, priority: str) -> None:
        self.tenant_id, self.id = tenant_id, str(new_id())
        self._payload = {**payload, "priority": priority, "deadline_at": time.time() + deadline_s}
        self._deadline_s, self._priority = deadline_s, priority
        # Before the payload ends in Redis, however long sending it takes: a missed deadline is not a lost request.
        self._give_up = time.monotonic() + deadline_s + _GRACE_S
        self.answered = False

    def __enter__(self) -> RemoteCall:
        self.enter()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def enter(self) -> None:
        """Send the request. Raises Busy (the class's queue is full, or three quarters of it are this organisation's) and
        Unavailable (no Redis)."""
        bound = settings.INFERENCE_QUEUE_BOUNDS[self._priority]
        permit_take(
            key=_queue_key(self._priority),
            member=self._member,
            bound=bound,
            deadline_s=self._deadline_s + _GRACE_S,
            prefix=f"{self.tenant_id}:",
            prefix_bound=tenant_bound(bound),
        )
        try:
            with redis_unavailable():
                ttl_ms = int((self._deadline_s + _GRACE_S) * 1000)
                redis_client().set(payload_key(self.tenant_id, self.id), json.dumps(self._payload), px=ttl_ms)
                current_app.send_task(
                    TASK,
                    args=[str(self.tenant_id), self.id],
                    queue=QUEUE,
                    expires=self._deadline_s,
                    retry_policy={"max_retries": 1, "interval_start": 0},
                )
        except BaseException:
            permit_free(key=_queue_key(self._priority), member=self._member)
            raise

    def leave(self) -> None:
        """Free the queue's place; a request that is not answered is cancelled in the engine."""
        permit_free(key=_queue_key(self._priority), member=self._member)
        with suppress(RedisError, Unavailable):
            if not self.answered:
                cancel_request(self.tenant_id, self.id)
            payload = payload_key(self.tenant_id, self.id)
            redis_client().delete(payload, taken_key(payload), stream_key(self.tenant_id, self.id))

    def answers(self) -> Iterator[dict[bytes, bytes] | None]:
        """Yield the answer's entries as they come, and None about four times a second while there is none.

        Ends after the entry of kind `end`. Errors: DeadlineExceeded, Unavailable (Redis lost the request or a part of
        the answer), and whatever the worker wrote as an error.
        """
        key, last, quiet, expected = stream_key(self.tenant_id, self.id), "0", time.monotonic(), 0
        while True:
            with redis_unavailable():
                found = redis_client().xread({key: last}, count=100, block=_BLOCK_MS)
            rows = _rows(found)
            for entry_id, fields in rows:
                last, quiet = entry_id.decode(), time.monotonic()
                if int(fields[b"n"]) != expected:
                    raise Unavailable("A part of the answer was lost; send the request again.", retry_after_s=1.0)
                expected += 1
                if fields[b"k"] == b"error":
                    self.answered = True
                    error = json.loads(fields[b"d"])
                    raise app_error_from(error["code"], error["message"], error.get("details"))
                if fields[b"k"] == b"end":
                    self.answered = True
                yield fields
                if self.answered:
                    return
            if not rows:
                if time.monotonic() > self._give_up:
                    raise DeadlineExceeded(retry_after_s=RETRY_AFTER_S)
                if time.monotonic() - quiet > 0.5:
                    self.check_not_lost()
                yield None

    @property
    def _member(self) -> str:
        return f"{self.tenant_id}:{self.id}"

    def check_not_lost(self) -> None:
        """Raise Unavailable when Redis has neither the request nor an answer, or its worker has died."""
        payload = payload_key(self.tenant_id, self.id)
        with redis_unavailable():
            known = redis_client().exists(payload, stream_key(self.tenant_id, self.id))
            worker: Any = redis_client().get(taken_key(payload))
        if not known:
            raise Unavailable("The request was lost; send it again.", retry_after_s=1.0)
        if worker is not None and worker_lost(worker.decode()):
            raise Unavailable("The worker that had the request is gone; send it again.", retry_after_s=2.0)


def _rows(found: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Return the entries of a one-stream XREAD: RESP2 gives pairs, RESP3 a mapping."""
    if not found:
        return []
    rows: list[tuple[bytes, dict[bytes, bytes]]]
    rows = next(iter(found.values()))[0] if isinstance(found, dict) else found[0][1]
    return rows
