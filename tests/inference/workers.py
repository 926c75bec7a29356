"""Counters of workers that do not exist, as real ones write them."""

from __future__ import annotations

import json
import time
from typing import Any

import redis

from apps.inference.engine.metering import SIZE_BUCKETS, WAIT_BUCKETS_S, Histogram
from apps.inference.services import stats

CLASSES = ("live", "api", "batch")


def histogram(bounds: tuple[float, ...], *values: float) -> dict[str, Any]:
    made = Histogram(bounds)
    for value in values:
        made.observe(value)
    return made.as_dict()


def _model(role: str, backend: str, memory_mb: int) -> dict[str, Any]:
    return {
        "role": role,
        "backend": backend,
        "revision": "0.1.2",
        "state": "ready",
        "memory_mb": memory_mb,
        "pinned": True,
        "leases": 2,
        "load_s": 1.5,
        "running": dict(zip(CLASSES, (2, 1, 0), strict=True)),
        "queued": dict(zip(CLASSES, (0, 3, 7), strict=True)),
        "failed": 1,
        "refused": 4,
        "expired": 2,
        "wait_s": histogram(WAIT_BUCKETS_S, 0.0005, 0.02, 0.02, 60.0),
        "batch": histogram(SIZE_BUCKETS, 1, 4, 4),
    }


def chat_model(**changes: Any) -> dict[str, Any]:
    own = {
        "slots": 48,
        "finished": 30,
        "cancelled": 5,
        "restarts": 1,
        "prompt_tokens": 2000,
        "cached_tokens": 500,
        "generated_tokens": 900,
        "cache_usage": 0.25,
        "first_token_s": histogram(WAIT_BUCKETS_S, 0.2, 0.2, 0.2, 2.0),
    }
    return _model("chat", "openvino-genai", 600) | own | changes


def embedding_model(**changes: Any) -> dict[str, Any]:
    own = {"items": 120, "tokens": 4000, "batches": 10}
    return _model("embedding", "sentence-transformers", 180) | own | changes


def info(**models: dict[str, Any]) -> dict[str, Any]:
    """What EngineHost.info returns."""
    found = {name.replace("_", "-"): model for name, model in models.items()}
    used_mb = sum(model["memory_mb"] for model in found.values())
    return {"budget_mb": 4096, "used_mb": used_mb, "loads": 3, "unloads": 1, "hits": 90, "load_s": 4.0, "models": found}


def usual() -> dict[str, Any]:
    return info(smollm2_135m_instruct=chat_model(), all_minilm_l6_v2=embedding_model())


def publish_past(client: redis.Redis, worker: str, found: dict[str, Any], *, ago_s: float) -> None:
    """Put a point into a worker's history, as it would have been written `ago_s` ago. Oldest first."""
    point = stats._point({"at": time.time() - ago_s, **found})
    client.lpush(stats._history_key(worker), json.dumps(point))
