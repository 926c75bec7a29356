"""Liveness, readiness and metrics."""

from __future__ import annotations

import prometheus_client
import structlog
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET
from redis.exceptions import RedisError

from apps.core.redis import redis_client
from apps.inference.services import engine_ready

log = structlog.get_logger(__name__)


@require_GET
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@require_GET
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when database, Redis, a worker of each queue and the default models answer; 503 names what does not."""
    missing: list[str] = []
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        missing.append("database")
    try:
        alive = redis_client().mget("ready:worker-default", "ready:worker-inference")
        names = ("worker-default", "worker-inference")
        missing += [name for name, value in zip(names, alive, strict=True) if value is None]
        if not engine_ready():
            missing.append("models")
    except RedisError:
        missing.append("redis")
    if missing:
        response = JsonResponse({"status": "unavailable", "missing": missing}, status=503)
        response.headers["Retry-After"] = "2"
        return response
    return JsonResponse({"status": "ready"})


@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text of this process."""
    return HttpResponse(prometheus_client.generate_latest(), content_type=prometheus_client.CONTENT_TYPE_LATEST)
