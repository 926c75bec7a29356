"""Why a worker could not start, kept for a while where the operators' page finds it."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError

from apps.core.redis import redis_client
from apps.inference.services.faults import redis_unavailable

_KEY = "infer:cannot_start"
# A worker that fails again says so again, long before this.
_TTL_S = 120
_MAX_CHARS = 1000


def start_failure_note(reason: str) -> None:
    """Keep the reason for 2 minutes. Without Redis it is in the log alone."""
    with suppress(RedisError):
        redis_client().set(_KEY, json.dumps({"at": time.time(), "reason": reason[:_MAX_CHARS]}), ex=_TTL_S)


def start_failure_clear() -> None:
    """Forget it: a worker has started."""
    with suppress(RedisError):
        redis_client().delete(_KEY)


def start_failure() -> dict[str, Any] | None:
    """Return {"at", "reason"} of the last failed start, or None. Raises Unavailable without Redis."""
    with redis_unavailable():
        value = redis_client().get(_KEY)
    return json.loads(value) if value else None
