"""Synchronous services from an event loop; slow work that is left when somebody says so."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import ParamSpec, TypeVar

from channels.db import database_sync_to_async
from django.conf import settings

P = ParamSpec("P")
R = TypeVar("R")


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(settings.SOCKET_THREADS, thread_name_prefix="socket")


def in_thread(function: Callable[P, R]) -> Callable[P, Awaitable[R]]:
    """Return `function` to be awaited; it runs on one of SOCKET_THREADS threads and gives its connection back after.

    Channels' own default is one thread for all sockets of a process: whoever waits there for a lock or for a Redis that
    does not answer holds up everybody.
    """
    call: Callable[P, Awaitable[R]] = database_sync_to_async(function, thread_sensitive=False, executor=_pool())
    return call


# How soon slow work is left after somebody said so.
CHECK_S = 0.5


def while_checking(work: Callable[[], R], check: Callable[[], None]) -> R:
    """Return what `work()` returns or raise what it raises; meanwhile call `check` twice a second, which may raise to leave.

    Work that is left goes on to its own end on its thread, and what it gives is dropped: it needs a time limit of its own,
    no effects and no database.
    """
    done: Future[R] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001  (raised again for the caller)
            done.set_exception(error)

    # A daemon: what was left must not keep a process that ends.
    threading.Thread(target=run, name="while-checking", daemon=True).start()
    while True:
        try:
            return done.result(timeout=CHECK_S)
        except TimeoutError:
            if done.done():
                raise
            check()
