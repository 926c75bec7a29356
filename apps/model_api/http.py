"""What the model routes share: reading keys and bodies, refusing in a shape of their own, streams of events."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar

import structlog
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import DataError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, ValidationError
from redis.exceptions import RedisError

from apps.core.errors import AppError, Invalid, TooLarge, Unauthenticated, Unavailable

log = structlog.get_logger(__name__)
Model = TypeVar("Model", bound=BaseModel)
Made = TypeVar("Made")
# How a family of routes writes an error: status and JSON body.
ErrorShape = Callable[[AppError], tuple[int, dict[str, Any]]]
_STORE_AWAY = (OperationalError, InterfaceError, PoolTimeout, RedisError)
# A stream that nobody starts to read is given up: its client went away before the first byte.
UNREAD_S = 5.0


class MethodNotAllowed(AppError):
    code, status, default_message = "method_not_allowed", 405, "The route does not take this method."
    allowed: tuple[str, ...] = ()


def bearer(request: HttpRequest) -> str:
    """Return the key of `Authorization: Bearer <key>`. Raises Unauthenticated."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated("Send an API key in the header `Authorization: Bearer YOUR_KEY`.")
    return secret.strip()


def json_body(request: HttpRequest) -> dict[str, Any]:
    """Return the body, a JSON object. Raises Invalid "malformed" (status 400) and TooLarge."""
    try:
        body = json.loads(request.body, parse_constant=_no_constant)
    except RequestDataTooBig:
        raise TooLarge from None
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        error = Invalid("The body must be a JSON object.", code="malformed")
        error.status = 400
        raise error
    return body


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def validated(schema: type[Model], values: dict[str, Any]) -> Model:
    """Return `values` as `schema`. Raises Invalid whose details name the `param`, e.g. "messages[0].content"."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        # Of a union's complaints the deepest is about the alternative that was meant.
        worst = max(found, key=lambda one: len(one["loc"]))
        param = _param(worst["loc"])
        if worst["type"] == "extra_forbidden":
            message, code = f"Unrecognized request argument supplied: {param}", "unknown_parameter"
        elif worst["type"] == "missing":
            message, code = f"Missing required parameter: {param!r}.", "missing_required_parameter"
        else:
            message, code = f"Invalid value for {param!r}: {worst['msg']}.", "invalid_value"
        raise Invalid(message, code=code, details={"param": param}) from None


def _param(location: tuple[int | str, ...]) -> str:
    """Return the place as callers write it, without pydantic's names for the alternatives of a union."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.isidentifier() and part not in {"str", "int"}:
            text += f".{part}" if text else part
    return text[:100]


def refusal(shape: ErrorShape, error: AppError) -> HttpResponse:
    """Return the error in the routes' shape, with Retry-After where waiting helps."""
    status, body = shape(error)
    response = json_response(body, status=status)
    if error.retry_after_s is not None or status in {429, 503}:
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s or 2)))
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(error.allowed)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def json_response(body: Any, *, status: int = 200) -> HttpResponse:
    """Return compact UTF-8 JSON."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), default=str)
    return HttpResponse(text.encode("utf-8", "replace"), status=status, content_type="application/json")


def endpoint(shape: ErrorShape, *methods: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a view of a function that returns a response or raises AppErrors, which are answered in `shape`.

    The key is in a header, so no CSRF token is needed. Functions may be coroutines.
    """

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        def check(request: HttpRequest) -> None:
            if request.method not in methods:
                error = MethodNotAllowed(f"Not allowed to {request.method} on {request.path}.")
                error.allowed = methods
                raise error

        async def asynchronous(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            try:
                check(request)
                answer: HttpResponseBase = await view(request, **kwargs)
            except Exception as error:  # noqa: BLE001  (every error has the routes' shape)
                return refusal(shape, known_error(error, request.path))
            return answer

        def synchronous(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            try:
                check(request)
                answer: HttpResponseBase = view(request, **kwargs)
            except Exception as error:  # noqa: BLE001
                return refusal(shape, known_error(error, request.path))
            return answer

        return csrf_exempt(wraps(view)(asynchronous if iscoroutinefunction(view) else synchronous))

    return decorate


def known_error(error: Exception, path: str) -> AppError:
    """Return `error` as one that callers may see; what is ours to mend is logged."""
    if isinstance(error, AppError):
        return error
    if isinstance(error, _STORE_AWAY):
        log.warning("model_api.store_away", error=type(error).__name__)
        return Unavailable(retry_after_s=2)
    if isinstance(error, DataError):
        return Invalid("A value cannot be stored.", code="value_invalid")
    if isinstance(error, SuspiciousOperation):
        # A host that is not ours, for one: what Django answers 400 itself, where it is let.
        refused = Invalid("The request is not one for this host.", code="host_invalid")
        refused.status = 400
        return refused
    log.error("model_api.internal", path=path, exc_info=error)
    return AppError()


async def kept(work: Awaitable[Made], undo: Callable[[Made], Awaitable[None]]) -> Made:
    """Await `work` to its end even when the client leaves meanwhile: what it made is then undone, and not forgotten."""
    making = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        with suppress(AppError):
            await finished(undo(await making))
        raise


async def finished(work: Awaitable[None]) -> None:
    """Await `work` to its end, also when the caller is cancelled in the middle.

    A client that closes its connection as soon as it has read the end cancels just what cleans up behind it.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


class EventStream:
    """Server-sent events that end cleanly however their client ends: `release` runs exactly once.

    `aclose` runs when the response was sent, or its client left in the middle; `close` when it was never sent. A stream
    that nobody has started to read after `UNREAD_S` closes itself.
    """

    def __init__(self, events: AsyncGenerator[bytes, None], release: Callable[[], Awaitable[None]]) -> None:
        self._events, self._release = events, release
        self._released = False
        self._loop = asyncio.get_running_loop()
        self._closing: asyncio.Task[None] | None = None
        self._unread: asyncio.TimerHandle | None = self._loop.call_later(UNREAD_S, self._close_soon)

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> bytes:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        return await self._events.__anext__()

    async def aclose(self) -> None:
        """End the events and release what they hold; harmless the second time."""
        if self._released:
            return
        self._released = True
        if self._unread is not None:
            self._unread.cancel()
        await finished(self._end())

    async def _end(self) -> None:
        try:
            await self._events.aclose()
        finally:
            await self._release()

    def close(self) -> None:
        """The same from a thread, later."""
        if not self._released and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._close_soon)

    def _close_soon(self) -> None:
        self._closing = self._loop.create_task(self.aclose())


class EventResponse(StreamingHttpResponse):
    """Sends an EventStream. Django's own iteration would leave the stream to the garbage collector."""

    def __init__(self, stream: EventStream) -> None:
        super().__init__(stream, content_type="text/event-stream; charset=utf-8")
        self._stream = stream
        self.headers["Cache-Control"] = "no-cache"
        self.headers["X-Accel-Buffering"] = "no"

    def __aiter__(self) -> Any:
        return self._stream
