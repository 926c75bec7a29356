"""What the inference workers do, as they say it themselves: for metrics, the operators' page and tests.

Each worker writes its counters to Redis once a second, with a short history for charts. They belong to the
installation, name no organisation and hold no text.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psutil

from apps.core.redis import redis_client
from apps.inference.services.faults import redis_unavailable

STATS_EVERY_S = 1.0
# A worker that says nothing for this long is gone.
STATS_TTL_S = 10
HISTORY_LENGTH = 300
# Readers look at no more than this many workers.
MAX_WORKERS = 32
_WORKERS_KEY = "infer:workers"
_CLASSES = ("live", "api", "batch")


class _Resident:
    """What this process and its children take of the memory, measured every 5 s: it reads the system's process list."""

    def __init__(self) -> None:
        self._mb, self._next = 0, 0.0

    def mb(self) -> int:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + 5.0
            own, total = psutil.Process(), 0
            for process in [own, *own.children(recursive=True)]:
                with suppress(psutil.Error):  # it ended meanwhile
                    total += process.memory_info().rss
            self._mb = total // 2**20
        return self._mb


_resident = _Resident()


# A worker says once a second that it lives; on a machine that is far too busy that may come late.
_LOST_S = 8.0


def worker_name() -> str:
    """Return this process's name among the workers."""
    return f"{socket.gethostname()}:{os.getpid()}"


def worker_alive(worker: str) -> None:
    """Say that this worker lives, whatever its models are busy with. Raises RedisError."""
    redis_client().zadd(_WORKERS_KEY, {worker: time.time()})


def worker_lost(name: str) -> bool:
    """Return whether a worker has said nothing for 8 s. Raises Unavailable without Redis."""
    with redis_unavailable():
        seen: Any = redis_client().zscore(_WORKERS_KEY, name)
    return seen is None or time.time() - float(seen) > _LOST_S


def _key(worker: str) -> str:
    return f"infer:stats:{worker}"


def _history_key(worker: str) -> str:
    return f"infer:history:{worker}"


def stats_publish(worker: str, info: dict[str, Any]) -> None:
    """Write the counters of this worker (EngineHost.info) with the time. Raises RedisError."""
    now = time.time()
    snapshot = {"at": now, "resident_mb": _resident.mb(), **info}
    pipe = redis_client().pipeline(transaction=False)
    pipe.set(_key(worker), json.dumps(snapshot), ex=STATS_TTL_S)
    pipe.zadd(_WORKERS_KEY, {worker: now})
    pipe.zremrangebyscore(_WORKERS_KEY, "-inf", now - STATS_TTL_S)
    pipe.lpush(_history_key(worker), json.dumps(_point(snapshot)))
    pipe.ltrim(_history_key(worker), 0, HISTORY_LENGTH - 1)
    pipe.expire(_history_key(worker), HISTORY_LENGTH)
    pipe.execute()


def engine_stats() -> dict[str, dict[str, Any]]:
    """Return {worker: its last counters} of the workers of the last 10 s, at most 32. Raises Unavailable without Redis."""
    with redis_unavailable():
        names: Any = redis_client().zrevrange(_WORKERS_KEY, 0, MAX_WORKERS - 1)
        workers = sorted(name.decode() for name in names)
        values = redis_client().mget([_key(worker) for worker in workers]) if workers else []
    return {worker: json.loads(value) for worker, value in zip(workers, values, strict=True) if value is not None}


def engine_histories(workers: Sequence[str], *, after: float = 0.0) -> dict[str, list[dict[str, Any]]]:
    """Return {worker: its points of the last 5 minutes, oldest first}, in one round trip.

    Shape:  each point is {"at", "used_mb", "models": {name: see _model_point}}.
    Limits: the points since the time `after`, a few before it, and always the oldest one that is kept.
    Errors: Unavailable without Redis.
    """
    count = min(HISTORY_LENGTH, int(max(0.0, time.time() - after) / STATS_EVERY_S) + 8)
    with redis_unavailable():
        pipe = redis_client().pipeline(transaction=False)
        for worker in workers:
            pipe.lrange(_history_key(worker), 0, count - 1)
            pipe.lindex(_history_key(worker), -1)
        rows = pipe.execute()
    return {worker: _points(rows[2 * n], rows[2 * n + 1]) for n, worker in enumerate(workers)}


def engine_history(worker: str) -> list[dict[str, Any]]:
    """Return up to 5 minutes of one worker's points, oldest first (see engine_histories)."""
    return engine_histories([worker])[worker]


def _points(rows: list[bytes], oldest: bytes | None) -> list[dict[str, Any]]:
    points = [json.loads(row) for row in reversed(rows)]
    first = json.loads(oldest) if oldest is not None else None
    if first is not None and points and first["at"] < points[0]["at"]:
        points.insert(0, first)
    return points


def _point(snapshot: dict[str, Any]) -> dict[str, Any]:
    """Return what a chart needs of a snapshot."""
    return {
        "at": round(snapshot["at"], 2),
        "used_mb": snapshot["used_mb"],
        "models": {name: _model_point(model) for name, model in snapshot["models"].items()},
    }


def _model_point(model: dict[str, Any]) -> dict[str, Any]:
    """Return a model's gauges by class and its totals; [sum, count] stands for a histogram.

    `tokens` are generated by a chat model and read by the others; `first` are the counts by bucket.
    """
    first = model.get("first_token_s") or {"sum": 0.0, "counts": []}
    return {
        "chat": model["role"] == "chat",
        "running": [model.get("running", {}).get(name, 0) for name in _CLASSES],
        "queued": [model.get("queued", {}).get(name, 0) for name in _CLASSES],
        "tokens": model.get("generated_tokens", model.get("tokens", 0)),
        "first": first["counts"],
        "first_sum": round(first["sum"], 4),
        "wait": _sum_count(model.get("wait_s")),
        "batch": _sum_count(model.get("batch")),
    }


def _sum_count(histogram: dict[str, Any] | None) -> list[float]:
    return [round(histogram["sum"], 4), sum(histogram["counts"])] if histogram else [0.0, 0]
