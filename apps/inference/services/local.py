"""The engine of this process: present in the inference worker, absent everywhere else."""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import Any, cast

from django.conf import settings
from redis.exceptions import RedisError

from apps.core.egress import model_server_transport
from apps.core.redis import redis_client
from apps.inference.engine.errors import ModelUnavailable
from apps.inference.engine.host import EngineHost
from apps.inference.engine.types import EmbedDtype, EngineConfig
from apps.inference.services.faults import redis_unavailable
from apps.inference.services.models import catalogue
from apps.inference.services.stats import STATS_EVERY_S, stats_publish, worker_alive, worker_name

logger = logging.getLogger(__name__)

# Says which models answer. Without a tenant: it is the installation's.
READY_KEY = "infer:ready"
READY_TTL_S = 10
READY_EVERY_S = 3.0


class EngineStopping(RuntimeError):
    """The worker is shutting down. Not an AppError: durable work that meets it is tried again elsewhere."""


class _State:
    host: EngineHost | None = None
    stopping = threading.Event()


_lock = threading.Lock()


def engine_config() -> EngineConfig:
    """Return the engine's limits from the settings."""
    return EngineConfig(
        data_dir=settings.DATA_DIR,
        threads=settings.INFERENCE_THREADS,
        chat_max_active=settings.INFERENCE_CHAT_SLOTS,
        chat_kv_cache_gb=settings.INFERENCE_KV_CACHE_GB,
        chat_batched_tokens=settings.INFERENCE_BATCHED_TOKENS,
        embed_dtype=cast(EmbedDtype, settings.INFERENCE_EMBED_DTYPE),
        memory_mb=settings.INFERENCE_MEMORY_MB,
        transport=model_server_transport,
        secret=settings.INFERENCE_SECRET,
    )


def engine_start() -> EngineHost:
    """Load and warm the default models in this process (5 to 12 s) and keep saying that they are ready.

    A second call returns the running host. Raises ModelUnavailable: weights missing, wrong or unsafe.
    """
    with _lock:
        if _State.host is None:
            known = catalogue()
            host = EngineHost(known.models, known.defaults, engine_config())
            host.load()
            _State.stopping.clear()
            _State.host = host
            threading.Thread(target=_heartbeat, args=(host,), name="engine-heartbeat", daemon=True).start()
            threading.Thread(target=_say_alive, name="engine-alive", daemon=True).start()
        return _State.host


def engine_stop(*, wait: bool = True) -> None:
    """End active generations (their callers get EngineStopping) and the chat process. Takes at most 4 s.

    With `wait` false it returns at once, as a signal handler must: the thread it interrupts may hold any lock.
    """
    _State.stopping.set()
    if wait:
        _stop_host()
    else:
        threading.Thread(target=_stop_host, name="engine-stop").start()


def _stop_host() -> None:
    with _lock:
        host, _State.host = _State.host, None
    if host is not None:
        host.stop()
        try:
            redis_client().delete(READY_KEY)
        except RedisError:
            logger.debug("readiness ends by its time to live")


def local_engine() -> EngineHost | None:
    """Return this process's engine, or None where models are reached through the queue."""
    return _State.host


def engine_stopping() -> bool:
    """Return whether this worker has been told to stop."""
    return _State.stopping.is_set()


def engine_ready() -> list[str]:
    """Return the names of the models that a worker has said answer, in the last 10 s; [] when none.

    Raises Unavailable without Redis.
    """
    with redis_unavailable():
        value = redis_client().get(READY_KEY)
    return list(json.loads(value)) if value else []


def engine_info() -> dict[str, Any] | None:
    """Return what this process's engine has loaded, with all counters, or None where there is none."""
    host = _State.host
    return host.info() if host is not None else None


def _say_alive() -> None:
    """Apart from the heartbeat, which waits for a model that is busy with a long prompt."""
    while not _State.stopping.wait(STATS_EVERY_S):
        try:
            worker_alive(worker_name())
        except RedisError:
            logger.debug("Redis is away; callers hear it from Redis itself")


def _heartbeat(host: EngineHost) -> None:
    """Say every second what the engine does, and every 3 s which models answer; take a changed catalogue."""
    worker, seen, next_ready = worker_name(), catalogue(), 0.0
    while True:
        try:
            if time.monotonic() >= next_ready:
                next_ready = time.monotonic() + READY_EVERY_S
                health = host.health()
                if all(health.values()) and _State.host is host:
                    redis_client().set(READY_KEY, json.dumps(sorted(health)), ex=READY_TTL_S)
            stats_publish(worker, host.info())
        except RedisError:
            logger.debug("Redis is away; /readyz says so by itself")
        try:
            current = catalogue()
            if current is not seen:
                seen = current
                host.catalogue_changed(current.models, current.defaults)
        except ModelUnavailable:
            # A file that is being edited is not the installation's end: what is loaded stays.
            logger.exception("the catalogue has changed and cannot be read")
        if _State.stopping.wait(STATS_EVERY_S):
            return
