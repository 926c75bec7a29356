"""What the inference workers do, as they say it themselves: for metrics, the operators' page and tests.

Each worker writes its counters to Redis once a second, with a short history for charts. They belong to the
installation, name no organisation and hold no text.
"""

from __future__ import annotations

import json
import time
from typing import Any

from apps.core.redis import redis_client
from apps.inference.services.faults import redis_unavailable

STATS_EVERY_S = 1.0
# A worker that says nothing for this long is gone.
STATS_TTL_S = 10
HISTORY_LENGTH = 300
_WORKERS_KEY = "infer:workers"


def _key(worker: str) -> str:
    return f"infer:stats:{worker}"


def _history_key(worker: str) -> str:
    return f"infer:history:{worker}"


def stats_publish(worker: str, info: dict[str, Any]) -> None:
    """Write the counters of this worker (EngineHost.info) with the time. Raises RedisError."""
    now = time.time()
    snapshot = {"at": now, **info}
    pipe = redis_client().pipeline(transaction=False)
    pipe.set(_key(worker), json.dumps(snapshot), ex=STATS_TTL_S)
    pipe.zadd(_WORKERS_KEY, {worker: now})
    pipe.zremrangebyscore(_WORKERS_KEY, "-inf", now - STATS_TTL_S)
    pipe.lpush(_history_key(worker), json.dumps(_point(snapshot)))
    pipe.ltrim(_history_key(worker), 0, HISTORY_LENGTH - 1)
    pipe.expire(_history_key(worker), HISTORY_LENGTH)
    pipe.execute()


def engine_stats() -> dict[str, dict[str, Any]]:
    """Return {worker: its last counters} of the workers of the last 10 s. Raises Unavailable without Redis."""
    with redis_unavailable():
        names: Any = redis_client().zrange(_WORKERS_KEY, 0, -1)
        workers = [name.decode() for name in names]
        values = redis_client().mget([_key(worker) for worker in workers]) if workers else []
    return {worker: json.loads(value) for worker, value in zip(workers, values, strict=True) if value is not None}


def engine_history(worker: str) -> list[dict[str, Any]]:
    """Return up to 5 minutes of a worker's points, oldest first: {"at", "used_mb", "models": {name: {...}}}."""
    with redis_unavailable():
        rows = redis_client().lrange(_history_key(worker), 0, -1)
    return [json.loads(row) for row in reversed(rows)]


def _point(snapshot: dict[str, Any]) -> dict[str, Any]:
    """Return what a chart needs of a snapshot."""
    return {
        "at": round(snapshot["at"], 1),
        "used_mb": snapshot["used_mb"],
        "models": {name: _model_point(model) for name, model in snapshot["models"].items()},
    }


def _model_point(model: dict[str, Any]) -> dict[str, Any]:
    first, wait = model.get("first_token_s"), model.get("wait_s")
    return {
        "running": sum(model.get("running", {}).values()),
        "queued": sum(model.get("queued", {}).values()),
        "tokens": model.get("generated_tokens", model.get("tokens", 0)),
        "items": model.get("items", model.get("finished", 0)),
        "first_token_s": first["sum"] if first else 0.0,
        "first_tokens": sum(first["counts"]) if first else 0,
        "wait_s": wait["sum"] if wait else 0.0,
        "waits": sum(wait["counts"]) if wait else 0,
    }
