"""Rate limits in Redis, by the generic cell rate algorithm: one key, one time stamp, no window edges.

Source: ITU-T I.371 (leaky bucket as a meter).
"""

from __future__ import annotations

import math

import structlog
from redis.exceptions import RedisError

from apps.core.errors import RateLimited, Unavailable
from apps.core.redis import redis_client, tenant_key

log = structlog.get_logger(__name__)
_SCRIPT = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local step, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local wait = tat - burst - now
if wait > 0 then return wait end
redis.call('SET', KEYS[1], string.format('%.0f', tat + step), 'PX', math.ceil(tat + step - now + 1000))
return 0
"""


def rate_check(*, scope: object, key: str, limit: int, window_s: float, burst: int | None = None) -> None:
    """Count one use of `key` under `scope` (a tenant id, or "public" before one is known).

    Allows `limit` uses per `window_s`, `burst` (default: limit) of them at once. Raises RateLimited with the wait.
    Fails closed: Unavailable when Redis does not answer, since an unlimited pass is worse than a retry.
    """
    step_ms = window_s * 1000 / limit
    room_ms = step_ms * ((burst or limit) - 1)
    try:
        wait_ms = redis_client().eval(_SCRIPT, 1, tenant_key(scope, "rate", key), step_ms, room_ms)
    except RedisError as error:
        log.warning("rate.store_away", error=type(error).__name__)
        raise Unavailable(code="limiter_unavailable", retry_after_s=2) from error
    if int(wait_ms):
        raise RateLimited(retry_after_s=math.ceil(int(wait_ms) / 1000))
