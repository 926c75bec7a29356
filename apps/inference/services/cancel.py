"""Cancellation across processes: a key in Redis, and one poller per process for all that may be cancelled."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError

from apps.core.redis import redis_client, tenant_key
from apps.inference.services.faults import redis_unavailable

logger = logging.getLogger(__name__)

CANCEL_TTL_S = 600
POLL_S = 0.05


def _key(tenant_id: uuid.UUID, request_id: str) -> str:
    return tenant_key(tenant_id, "cancel", request_id)


def cancel_request(tenant_id: uuid.UUID, request_id: str) -> None:
    """Ask whoever computes `request_id` to stop. Takes effect within 50 ms of the worker; unknown ids do nothing."""
    with redis_unavailable():
        redis_client().set(_key(tenant_id, request_id), b"1", ex=CANCEL_TTL_S)


def is_cancelled(tenant_id: uuid.UUID, request_id: str) -> bool:
    """Return whether `cancel_request` was called in the last 10 minutes."""
    with redis_unavailable():
        return bool(redis_client().exists(_key(tenant_id, request_id)))


class _Poller:
    """Asks Redis for all watched keys at once, every 50 ms, and only while something is watched."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._watched: dict[str, list[threading.Event]] = {}
        self._thread: threading.Thread | None = None

    def watch(self, key: str) -> threading.Event:
        event = threading.Event()
        with self._condition:
            self._watched.setdefault(key, []).append(event)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="cancel-poller", daemon=True)
                self._thread.start()
            self._condition.notify()
        return event

    def unwatch(self, key: str, event: threading.Event) -> None:
        with self._condition:
            events = self._watched.get(key, [])
            events.remove(event)
            if not events:
                self._watched.pop(key, None)

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._watched:
                    self._condition.wait()
                keys = list(self._watched)
            try:
                found = redis_client().mget(keys)
            except RedisError:
                # A deadline still ends the work; asking again costs nothing.
                found = [None] * len(keys)
            for key, value in zip(keys, found, strict=True):
                if value is not None:
                    self._set(key)
            threading.Event().wait(POLL_S)

    def _set(self, key: str) -> None:
        with self._condition:
            for event in self._watched.get(key, []):
                event.set()


_poller = _Poller()


@contextmanager
def stop_signal(tenant_id: uuid.UUID, request_id: str) -> Iterator[Callable[[], bool]]:
    """Give a cheap function that says whether `request_id` was cancelled, for use as `should_stop`."""
    key = _key(tenant_id, request_id)
    event = _poller.watch(key)
    try:
        yield event.is_set
    finally:
        _poller.unwatch(key, event)
