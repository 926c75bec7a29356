"""What every request gets: an id that is in the logs, the error body and a header."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse

from apps.core.refusals import request_id


class RequestIdMiddleware:
    """Take X-Request-ID when it is short and plain, else make one."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse | Awaitable[HttpResponse]]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        if iscoroutinefunction(self.get_response):
            return self._async(request)
        self._before(request)
        return self._after(request, self.get_response(request))  # type: ignore[arg-type]

    async def _async(self, request: HttpRequest) -> HttpResponse:
        self._before(request)
        return self._after(request, await self.get_response(request))  # type: ignore[misc]

    def _before(self, request: HttpRequest) -> None:
        request.request_id = request_id(request.headers.get("X-Request-ID", ""))  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request.request_id)  # type: ignore[attr-defined]

    def _after(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response.headers["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        return response
