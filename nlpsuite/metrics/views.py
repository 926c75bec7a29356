"""`GET /metrics`."""

from __future__ import annotations

import secrets
from ipaddress import ip_address
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from nlpsuite.metrics.installation import InstallationCollector
from nlpsuite.metrics.web import REGISTRY

REGISTRY.register(InstallationCollector())
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
# One of these says that somebody else asks through a proxy on this machine.
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")


@require_GET
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text: for whoever has METRICS_TOKEN; where none is set, for this machine itself."""
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "")
        if not secrets.compare_digest(given.encode(), f"Bearer {settings.METRICS_TOKEN}".encode()):
            refused = _refusal(request, 401, "metrics_token_invalid", "This needs the METRICS_TOKEN as a bearer token.")
            refused.headers["WWW-Authenticate"] = "Bearer"
            return refused
    elif not _asked_here(request):
        message = "Without a METRICS_TOKEN the metrics are for this machine alone. Set one to read them from elsewhere."
        return _refusal(request, 403, "metrics_local_only", message)
    return HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)


def _asked_here(request: HttpRequest) -> bool:
    """Return whether the request comes from this machine, to its local name, and through no proxy."""
    try:
        here = ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        here = False
    local_name = urlsplit(f"//{request.get_host()}").hostname in _LOCAL_HOSTS
    return here and local_name and not any(name in request.headers for name in _FORWARDED)


def _refusal(request: HttpRequest, status: int, code: str, message: str) -> JsonResponse:
    request_id = getattr(request, "request_id", "")
    return JsonResponse({"error": {"code": code, "message": message, "request_id": request_id}}, status=status)
