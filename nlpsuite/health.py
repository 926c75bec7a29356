"""Liveness and readiness."""

from __future__ import annotations

from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError

from apps.core.errors import Unavailable
from apps.core.looks import Looks
from apps.core.redis import redis_client
from apps.core.storage import storage_short
from apps.inference.services import engine_ready, spaces_degraded


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
    names = ("worker-default", "worker-batch", "worker-inference")
    try:
        alive = redis_client().mget(*(f"ready:{name}" for name in names))
        models = [] if engine_ready() else ["models"]
    except (RedisError, Unavailable):
        return ["redis"]
    return [name for name, value in zip(names, alive, strict=True) if value is None] + models


def _storage() -> list[str]:
    return storage_short()


def _spaces() -> list[str]:
    return ["search_by_words"] if spaces_degraded() else []


# A part that hangs must hang neither the answer nor the look at the other parts.
_looks = Looks(
    "ready", {"database": _database, "redis": _queues, "storage": _storage, "spaces": _spaces}, timeout_s=4.0
)


@require_GET
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when database, Redis, a worker of each queue and the default models answer; 503 names what does not.

    A full disk is a warning, not a reason to send visitors elsewhere: chat goes on, and every process beside the same
    disk would say the same. So is `search_by_words`: an organisation whose vectors' encoder is not installed any more is
    searched by words alone until they have been computed again.
    """
    looks = _looks.run()
    short, warnings = looks.pop("storage"), looks.pop("spaces") or []
    missing: list[str] = []
    for name, found in looks.items():
        missing += [name] if found is None else found
    said: dict[str, list[str]] = {}
    if short != []:
        warnings, said = ["storage_full", *warnings], {"storage": ["unknown"] if short is None else short}
    if warnings:
        said = {"warnings": warnings, **said}
    if missing:
        response = JsonResponse({"status": "unavailable", "missing": missing, **said}, status=503)
        response.headers["Retry-After"] = "2"
        return response
    return JsonResponse({"status": "ready", **said})
