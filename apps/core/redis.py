"""Redis clients, one pool per process and kind. Blocking readers must block for at most 4 s or set no socket time-out:
redis-py 8 has a default socket time-out of 5 s."""

from __future__ import annotations

import asyncio
from functools import cache
from weakref import WeakKeyDictionary

import redis
import redis.asyncio
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry


@cache
def redis_client() -> redis.Redis:
    """Return the process-wide synchronous client (bytes in, bytes out; thread-safe)."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=10,
        socket_connect_timeout=3,
        max_connections=256,
        # One retry for a connection that a restart has cut; the default's back-off would hold callers for seconds.
        retry=Retry(NoBackoff(), 1),
    )


_async_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, redis.asyncio.Redis] = WeakKeyDictionary()


def redis_client_async() -> redis.asyncio.Redis:
    """Return the asynchronous client of the running event loop."""
    loop = asyncio.get_running_loop()
    client = _async_clients.get(loop)
    if client is None:
        client = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_timeout=None, socket_connect_timeout=3)
        _async_clients[loop] = client
    return client


def tenant_key(tenant_id: object, *parts: object) -> str:
    """Return a Redis key that carries its tenant, e.g. `t:{tenant}:reply:{id}`."""
    return ":".join(["t", str(tenant_id), *map(str, parts)])
