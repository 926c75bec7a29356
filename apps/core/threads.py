"""Synchronous services from an event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
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
