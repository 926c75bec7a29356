"""ASGI: the model routes go past the middleware that pages need.

Most of Django's middleware changes to a thread and back for each request, twice. For a page that is nothing; of a call to
a model it was half of the web process's work (2.5 of 5 ms), while the models want the processor.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse
from django.middleware.security import SecurityMiddleware
from django.utils.module_loading import import_string


class InlineSecurityMiddleware(SecurityMiddleware):
    """Django's own, in the event loop: it neither waits nor reads the database."""

    async def __acall__(self, request: HttpRequest) -> HttpResponse:
        response = self.process_request(request) or await self.get_response(request)  # type: ignore[misc]
        return self.process_response(request, response)


class ModelRoutesHandler(ASGIHandler):
    """Django with MODEL_ROUTES_MIDDLEWARE, all of it asynchronous: no sessions, cookies, languages or content policy."""

    def load_middleware(self, is_async: bool = False) -> None:
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        handler = convert_exception_to_response(self._get_response_async)  # type: ignore[attr-defined]
        for name in reversed(settings.MODEL_ROUTES_MIDDLEWARE):
            handler = convert_exception_to_response(import_string(name)(handler))
        self._middleware_chain = handler


class ByPath:
    """ASGI: requests whose first part of the path is in `parts` go to `special`, all others to `common`."""

    def __init__(self, parts: frozenset[str], special: Any, common: Any) -> None:
        self._parts, self._special, self._common = parts, special, common

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        first = scope["path"].split("/", 2)[1] if scope["path"].startswith("/") else ""
        await (self._special if first in self._parts else self._common)(scope, receive, send)
