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
        self._watched: dict[str, list[Callable[[], None]]] = {}
        self._thread: threading.Thread | None = None

    def watch(self, key: str, callback: Callable[[], None]) -> None:
        with self._condition:
            self._watched.setdefault(key, []).append(callback)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="cancel-poller", daemon=True)
                self._thread.start()
            self._condition.notify()

    def unwatch(self, key: str, callback: Callable[[], None]) -> None:
        with self._condition:
            callbacks = self._watched.get(key, [])
            if callback in callbacks:
                callbacks.remove(callback)
            if not callbacks:
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
            callbacks = list(self._watched.get(key, []))
        for callback in callbacks:
            callback()


_poller = _Poller()


@contextmanager
def stop_signal(tenant_id: uuid.UUID, request_id: str) -> Iterator[Callable[[], bool]]:
    """Give a cheap function that says whether `request_id` was cancelled, for use as `should_stop`."""
    key, event = _key(tenant_id, request_id), threading.Event()
    _poller.watch(key, event.set)
    try:
        yield event.is_set
    finally:
        _poller.unwatch(key, event.set)


def on_cancel(tenant_id: uuid.UUID, request_id: str, callback: Callable[[], None]) -> Callable[[], None]:
    """Call `callback`, perhaps more than once, when `request_id` is cancelled; the result ends the watching.

    It is called on the poller's thread and must be quick.
    """
    key = _key(tenant_id, request_id)
    _poller.watch(key, callback)
    return lambda: _poller.unwatch(key, callback)
