"""What this web process serves: requests by route, open sockets, memory and time of the process."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from apps.core.refusals import REFUSED

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

REQUEST_SECONDS = Histogram(
    "nlpsuite_http_request_duration_seconds",
    "Time from a request to the beginning of its answer.",
    ("route", "method", "status"),
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
    registry=REGISTRY,
)
OPEN_SOCKETS = Gauge("nlpsuite_open_sockets", "WebSockets that are open.", ("kind",), registry=REGISTRY)

# Labels come from these lists and the table of routes, never from the request: their number is bounded.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SOCKET_KINDS = {"/ws/widget": "visitor", "/ws/inbox": "staff"}
for _kind in SOCKET_KINDS.values():
    OPEN_SOCKETS.labels(_kind)


class RefusalsCollector(Collector):
    """What the doors of this web process refused before Django was asked."""

    def collect(self) -> Iterator[Metric]:
        """Yield the one family; its labels are those of the doors' code."""
        refused = CounterMetricFamily(
            "nlpsuite_web_refusals",
            "Requests, sockets and connections that this web process refused at its doors.",
            labels=("door", "code"),
        )
        for (door, code), count in sorted(REFUSED.items()):
            refused.add_metric([door, code], count)
        yield refused


REGISTRY.register(RefusalsCollector())


class RequestMetricsMiddleware:
    """Count each request under its route (not its path), method and class of status."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse | Awaitable[HttpResponse]]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        if iscoroutinefunction(self.get_response):
            return self._async(request)
        began = time.perf_counter()
        response: HttpResponse = self.get_response(request)  # type: ignore[assignment]
        _observe(request, response, began)
        return response

    async def _async(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response: HttpResponse = await self.get_response(request)  # type: ignore[misc]
        _observe(request, response, began)
        return response


def _observe(request: HttpRequest, response: HttpResponse, began: float) -> None:
    match = request.resolver_match
    route = f"/{match.route}" if match is not None else "none"  # static files and unknown paths
    method = request.method if request.method in _METHODS else "other"
    labels = REQUEST_SECONDS.labels(route, method, f"{response.status_code // 100}xx")
    labels.observe(time.perf_counter() - began)


class SocketCount:
    """ASGI: count the sockets that the application inside holds open."""

    def __init__(self, inner: Callable[..., Awaitable[Any]]) -> None:
        self._inner = inner

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> Any:
        kind = SOCKET_KINDS.get(scope.get("path", ""))
        if kind is None:
            return await self._inner(scope, receive, send)
        with OPEN_SOCKETS.labels(kind).track_inprogress():
            return await self._inner(scope, receive, send)
