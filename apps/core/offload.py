"""Rules on long texts, computed in processes of their own while a web process serves everybody else.

A regular expression or a segmenter holds the interpreter for as long as it reads. In the web process all requests and
sockets of all organisations wait meanwhile; here one process of a few does, at a lower priority of the processor, and it is
killed at the deadline of its call. Organisations take turns at the processes.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
import uuid
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import django
import structlog
from django.apps import apps
from django.conf import settings
from pebble import ProcessExpired, ProcessPool

from apps.core.errors import Busy, DeadlineExceeded, Unavailable

log = structlog.get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
# Loads Django once; the processes are forked from it and share what it loaded.
_PRELOAD = "apps.core.offload_process"
# A call that ends by itself at its deadline says more than one that is killed.
_GRACE_S = 1.0
# Calls that may wait for a process, of all organisations; one may hold half of the places.
_WAITING = 64
_NICE = 5


# What a process loads at its first text, and all share when it was loaded before they were forked. Apps add theirs.
preloads: list[Callable[[], object]] = []


class Turns:
    """`places` that are held at a time, half of them by one key; who waits is served by turns between keys. Thread-safe."""

    def __init__(self, places: int, waiting: int) -> None:
        self._free, self._waiting_bound = places, waiting
        self._each = max(1, places // 2)
        self._held: Counter[str] = Counter()
        self._condition = threading.Condition()
        self._waiting: OrderedDict[str, deque[object]] = OrderedDict()

    @contextmanager
    def turn(self, key: str, timeout_s: float) -> Iterator[None]:
        """Hold a place for the block. Raises Busy (too many wait, or half of them are of this key), DeadlineExceeded."""
        self._enter(key, time.monotonic() + timeout_s)
        try:
            yield
        finally:
            with self._condition:
                self._free += 1
                self._held[key] -= 1
                if not self._held[key]:
                    del self._held[key]
                self._condition.notify_all()

    def _enter(self, key: str, until: float) -> None:
        ticket = object()
        with self._condition:
            mine = self._waiting.get(key, ())
            if sum(map(len, self._waiting.values())) >= self._waiting_bound or 2 * len(mine) >= self._waiting_bound:
                raise Busy(retry_after_s=2)
            self._waiting.setdefault(key, deque()).append(ticket)
            while not (self._free and ticket is self._first()):
                left = until - time.monotonic()
                if left <= 0:
                    self._leave(key, ticket)
                    # Whoever is first now may have been told of a place before this one left.
                    self._condition.notify_all()
                    raise DeadlineExceeded(retry_after_s=2)
                self._condition.wait(left)
            self._leave(key, ticket)
            self._free -= 1
            self._held[key] += 1
            if key in self._waiting:
                self._waiting.move_to_end(key)
            self._condition.notify_all()

    def _first(self) -> object:
        """Return whose turn it is: None where all who wait hold as many places as they may."""
        return next((queue[0] for key, queue in self._waiting.items() if self._held.get(key, 0) < self._each), None)

    def _leave(self, key: str, ticket: object) -> None:
        queue = self._waiting[key]
        queue.remove(ticket)
        if not queue:
            del self._waiting[key]


class _Processes:
    """The pool of this process, made at its first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ProcessPool | None = None
        self.turns = Turns(settings.OFFLOAD_PROCESSES, _WAITING)

    def pool(self) -> ProcessPool:
        with self._lock:
            if self._pool is None or not self._pool.active:
                context = multiprocessing.get_context("forkserver")
                context.set_forkserver_preload([_PRELOAD])
                self._pool = ProcessPool(
                    settings.OFFLOAD_PROCESSES, initializer=_begin, initargs=[os.getpid()], context=context
                )
            return self._pool

    def stop(self) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()
            pool.join()


_lock = threading.Lock()
_kept: list[_Processes] = []


def _processes() -> _Processes:
    with _lock:
        if not _kept:
            _kept.append(_Processes())
        return _kept[0]


def offload(
    function: Callable[P, R], tenant_id: uuid.UUID, chars: int, deadline_s: float, /, *args: P.args, **kwargs: P.kwargs
) -> R:
    """Return `function(*args, **kwargs)`, in a process of its own where `chars` are many and this one serves others.

    `function` is one of a module, and takes and returns what can be pickled. Short texts, and processes that serve nobody
    else (workers, commands), compute here.
    Errors: what `function` raises; Busy (too many long texts wait), DeadlineExceeded (the process was killed), Unavailable
            (it ended by itself).
    """
    if not settings.OFFLOAD_PROCESSES or chars <= settings.OFFLOAD_CHARS:
        return function(*args, **kwargs)
    until = time.monotonic() + deadline_s
    processes = _processes()
    with processes.turns.turn(str(tenant_id), deadline_s):
        context = structlog.contextvars.get_contextvars()
        left_s = until - time.monotonic() + _GRACE_S
        future = processes.pool().schedule(_run, args=(context, function, args, kwargs), timeout=left_s)
        try:
            found: R = future.result()
        except FutureTimeoutError as error:
            log.warning("offload.killed", function=function.__qualname__, chars=chars)
            raise DeadlineExceeded(retry_after_s=2) from error
        except ProcessExpired as error:
            log.warning("offload.ended", function=function.__qualname__, chars=chars, status=error.exitcode)
            raise Unavailable("The process that read the text ended; send it again.", retry_after_s=2.0) from error
    return found


def offload_warm() -> None:
    """Start the processes, which takes some seconds, before somebody waits for them."""
    if settings.OFFLOAD_PROCESSES:
        _processes().pool().schedule(int)


def offload_stop() -> None:
    """End the processes. What they compute is lost."""
    with _lock:
        kept = [*_kept]
        _kept.clear()
    for processes in kept:
        processes.stop()


def _begin(parent: int) -> None:
    """Set up a process: behind everything that serves requests, and gone when its web process is."""
    if not apps.ready:
        # Forked from a server that did not find the product, when it was started in another folder.
        django.setup()
    settings.OFFLOAD_PROCESSES = 0
    os.nice(_NICE)
    threading.Thread(target=_end_with, args=[parent], daemon=True).start()


def _end_with(parent: int) -> None:
    while True:
        time.sleep(1)
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            os._exit(0)


def _run(context: dict[str, Any], function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    with structlog.contextvars.bound_contextvars(**context):
        return function(*args, **kwargs)
