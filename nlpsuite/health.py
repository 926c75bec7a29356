"""Liveness, readiness and metrics."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import prometheus_client
import structlog
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError

from apps.core.errors import Unavailable
from apps.core.redis import redis_client
from apps.inference.services import engine_ready

log = structlog.get_logger(__name__)


@require_GET
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


def _database() -> list[str]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (Error, PoolTimeout):
        return ["database"]
    finally:
        connection.close()
    return []


def _queues() -> list[str]:
    names = ("worker-default", "worker-inference")
    try:
        alive = redis_client().mget(*(f"ready:{name}" for name in names))
        models = [] if engine_ready() else ["models"]
    except (RedisError, Unavailable):
        return ["redis"]
    return [name for name, value in zip(names, alive, strict=True) if value is None] + models


# A part that hangs must hang neither the answer nor the look at the other parts; what waits behind it is cancelled.
_CHECKS: dict[str, Callable[[], list[str]]] = {"database": _database, "redis": _queues}
_pools = {name: ThreadPoolExecutor(2, thread_name_prefix=f"ready-{name}") for name in _CHECKS}
CHECK_TIMEOUT_S = 4.0


@require_GET
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when database, Redis, a worker of each queue and the default models answer; 503 names what does not."""
    running = {name: _pools[name].submit(check) for name, check in _CHECKS.items()}
    wait(running.values(), timeout=CHECK_TIMEOUT_S)
    missing: list[str] = []
    for name, future in running.items():
        missing += future.result() if future.done() else [name]
        future.cancel()
    if missing:
        response = JsonResponse({"status": "unavailable", "missing": missing}, status=503)
        response.headers["Retry-After"] = "2"
        return response
    return JsonResponse({"status": "ready"})


@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text of this process."""
    return HttpResponse(prometheus_client.generate_latest(), content_type=prometheus_client.CONTENT_TYPE_LATEST)
