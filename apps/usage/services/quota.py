"""Quotas by the day in Redis: one counter per organisation, kind of use and UTC day.

A counter is read before the work and raised after it, since the work alone knows what it cost: what runs at the moment a
quota is reached may pass it by what that costs. After a flush of Redis the day starts again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

import structlog
from redis.exceptions import RedisError

from apps.core.clock import now
from apps.core.errors import RateLimited, Unavailable
from apps.core.redis import redis_client, tenant_key

log = structlog.get_logger(__name__)
_KEPT_S = 2 * 86_400


def _key(scope: object, key: str, at: datetime) -> str:
    return tenant_key(scope, "quota", key, at.strftime("%Y%m%d"))


def quota_check(*, scope: object, key: str, limit: int) -> None:
    """Raise RateLimited "quota_exceeded", with the wait until midnight UTC, when `limit` uses of `key` are counted today.

    Fails closed: Unavailable when Redis does not answer.
    """
    at = now()
    try:
        used = int(cast("bytes | None", redis_client().get(_key(scope, key, at))) or 0)
    except RedisError as error:
        log.warning("quota.store_away", error=type(error).__name__)
        raise Unavailable(code="limiter_unavailable", retry_after_s=2) from error
    if used >= limit:
        midnight = at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        raise RateLimited(
            "The organisation has used up its quota of today.",
            code="quota_exceeded",
            retry_after_s=(midnight - at).total_seconds(),
        )


def quota_add(*, scope: object, key: str, amount: int) -> None:
    """Count `amount` uses of `key` today. Without Redis nothing is counted: the work is done, and checks refuse."""
    if amount <= 0:
        return
    name = _key(scope, key, now())
    try:
        pipe = redis_client().pipeline(transaction=False)
        pipe.incrby(name, amount)
        pipe.expire(name, _KEPT_S)
        pipe.execute()
    except RedisError as error:
        log.warning("quota.not_counted", error=type(error).__name__, amount=amount)
