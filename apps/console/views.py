"""The operators' page: what the models of the installation do now. It names no organisation and shows no text."""

from __future__ import annotations

import math
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from psycopg_pool import PoolTimeout

from apps.console.messages import OPERATIONS_MESSAGES
from apps.core.clock import now
from apps.core.errors import AppError, Forbidden, Invalid, Unavailable
from apps.core.languages import catalogue_render
from apps.core.looks import Looks
from apps.events.selectors import handlers_behind, outbox_depth
from apps.events.services import deliveries_retry
from apps.inference.selectors import operations_view

RETRY_AFTER_S = 2.0
_HANDLERS_SHOWN = 100
_HANDLER_MAX_CHARS = 64
# A Redis that hangs must not hold a thread of the web process for every operator who looks.
_looks = Looks[dict[str, Any]]("operations", {"operations": lambda after: operations_view(after=after)}, timeout_s=4.0)


def _require_operator(request: HttpRequest) -> None:
    """Raise Forbidden unless the signed-in account is an operator; roles in organisations give no such right."""
    if not getattr(request.user, "is_operator", False):
        raise Forbidden("This needs an operator of the installation.", code="operator_required")


@require_safe
@login_required
@never_cache
def index(request: HttpRequest) -> HttpResponse:
    """The page; its figures come from `stats`."""
    try:
        _require_operator(request)
    except Forbidden as error:
        return render(request, "console/refused.html", {"section": "operations"}, status=error.status)
    context = {"section": "operations", "messages_catalogue": catalogue_render(OPERATIONS_MESSAGES)}
    return render(request, "console/operations.html", context)


@require_safe
@login_required
@never_cache
def stats(request: HttpRequest) -> JsonResponse:
    """The figures as JSON; `?after=` leaves out the samples up to that time (seconds since 1970)."""
    try:
        _require_operator(request)
        found = _looks.run(_time(request.GET.get("after", "")))["operations"]
        if found is None:
            raise Unavailable("Redis does not answer.", retry_after_s=RETRY_AFTER_S)
        return JsonResponse(found)
    except AppError as error:
        return _refusal(request, error)


@require_safe
@login_required
@never_cache
def deliveries(request: HttpRequest) -> JsonResponse:
    """Handlers of events that something did not reach, as JSON: counts and names, nothing of an organisation."""
    try:
        _require_operator(request)
        found = _backlog.run()["deliveries"]
        if found is None:
            raise Unavailable("The database does not answer.", retry_after_s=RETRY_AFTER_S)
        return JsonResponse(found)
    except AppError as error:
        return _refusal(request, error)


@require_POST
@login_required
@never_cache
def deliveries_again(request: HttpRequest) -> JsonResponse:
    """Try the dead deliveries of the handler named in the form again. Writes audit rows."""
    try:
        _require_operator(request)
        handler = request.POST.get("handler", "")
        if not 0 < len(handler) <= _HANDLER_MAX_CHARS:
            raise Invalid("Name the handler.", code="handler_missing")
        return JsonResponse({"retried": deliveries_retry(handler=handler, actor=f"user:{request.user.pk}")})
    except AppError as error:
        return _refusal(request, error)


def _deliveries_view() -> dict[str, Any]:
    """Return at most _HANDLERS_SHOWN handlers with `waiting_s` of the oldest that waits, and the outbox in front of them."""
    try:
        at, found = now(), handlers_behind()
        return {
            "outbox": outbox_depth(),
            "handlers": [
                {
                    "handler": one.handler,
                    "pending": one.pending,
                    "dead": one.dead,
                    "unknown": one.unknown,
                    "waiting_s": max(0.0, (at - one.oldest_at).total_seconds()) if one.oldest_at else None,
                    "error": one.error,
                }
                for one in found[:_HANDLERS_SHOWN]
            ],
            "left_out": max(0, len(found) - _HANDLERS_SHOWN),
        }
    except (Error, PoolTimeout) as error:
        raise Unavailable("The database does not answer.", retry_after_s=RETRY_AFTER_S) from error
    finally:
        connection.close()  # of the thread that looks


_backlog = Looks[dict[str, Any]]("deliveries", {"deliveries": _deliveries_view}, timeout_s=4.0)


def _refusal(request: HttpRequest, error: AppError) -> JsonResponse:
    body = {"code": error.code, "message": str(error), "request_id": getattr(request, "request_id", "")}
    response = JsonResponse({"error": body}, status=error.status)
    if error.retry_after_s:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return response


def _time(raw: str) -> float:
    """Return the number, or 0 for what is none: the page then gets all there is."""
    try:
        value = float(raw[:20])
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0
