"""Bounds that hold across processes and free themselves.

A permit is a member of a Redis sorted set whose score is the time at which it ends by itself, so a killed process gives
its permits back at their deadlines. After a flush of Redis the count starts at zero: more work than the bound may then
run for the length of one deadline.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from django.conf import settings
from redis.exceptions import RedisError

from apps.core.errors import Busy
from apps.core.redis import redis_client
from apps.inference.services.faults import RETRY_AFTER_S, redis_unavailable

# Members of all tenants share these sets: the bounds are the installation's.
PERMITS_KEY = "infer:permits"

# One organisation may hold this share of a bound of the installation, so that the others always find some.
TENANT_SHARE = 0.75


def tenant_bound(bound: int) -> int:
    """Return how many of the installation's `bound` permits one organisation may hold: three quarters, at least one."""
    return max(1, math.ceil(bound * TENANT_SHARE))


# KEYS[1] the set; ARGV: now, deadline, bound, member, the bound of the members that begin with ARGV[6] (0: none).
# Returns 1 when the member holds a permit.
_ACQUIRE = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if redis.call('ZSCORE', KEYS[1], ARGV[4]) == false then
  if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
  if tonumber(ARGV[5]) > 0 then
    local mine = 0
    for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
      if string.sub(member, 1, #ARGV[6]) == ARGV[6] then mine = mine + 1 end
    end
    if mine >= tonumber(ARGV[5]) then return 0 end
  end
end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[4])
redis.call('EXPIRE', KEYS[1], 3600)
return 1
"""


@cache
def _acquire() -> Any:
    return redis_client().register_script(_ACQUIRE)


def permit_take(
    *, key: str, member: str, bound: int, deadline_s: float, prefix: str = "", prefix_bound: int = 0
) -> None:
    """Take a permit of the set `key` for at most `deadline_s`; of members that begin with `prefix` at most
    `prefix_bound` hold one. Raises Busy at a bound, Unavailable without Redis."""
    now = time.time()
    with redis_unavailable():
        granted = _acquire()(keys=[key], args=[now, now + deadline_s, bound, member, prefix_bound, prefix])
    if not granted:
        raise Busy(retry_after_s=RETRY_AFTER_S)


def permit_free(*, key: str, member: str) -> None:
    """Give a permit back. Without Redis it ends at its deadline."""
    with suppress(RedisError):
        redis_client().zrem(key, member)


@contextmanager
def generation_permit(*, tenant_id: uuid.UUID, key: str, deadline_s: float) -> Iterator[None]:
    """Hold one of the installation's INFERENCE_MAX_GENERATIONS for the block, at most for `deadline_s`.

    The same `key` taken again (a second attempt at the same work) does not count twice.
    Errors: Busy (bound reached, or three quarters of it by this organisation; retry after 2 s), Unavailable (Redis
            cannot be reached).
    """
    member, bound = f"{tenant_id}:{key}", settings.INFERENCE_MAX_GENERATIONS
    permit_take(
        key=PERMITS_KEY,
        member=member,
        bound=bound,
        deadline_s=deadline_s,
        prefix=f"{tenant_id}:",
        prefix_bound=tenant_bound(bound),
    )
    try:
        yield
    finally:
        permit_free(key=PERMITS_KEY, member=member)


def permits_in_use() -> int:
    """Return how many generation permits are held now."""
    with redis_unavailable():
        return int(redis_client().zcount(PERMITS_KEY, time.time(), "+inf"))
