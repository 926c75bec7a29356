"""The operators' page: what the models of the installation do now. It names no organisation and shows no text."""

from __future__ import annotations

import math

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.core.errors import AppError, Forbidden
from apps.core.languages import catalogue_render
from apps.inference.messages import OPERATIONS_MESSAGES
from apps.inference.selectors import operations_view


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
        return render(request, "inference/refused.html", {"section": "operations"}, status=error.status)
    context = {"section": "operations", "messages_catalogue": catalogue_render(OPERATIONS_MESSAGES)}
    return render(request, "inference/operations.html", context)


@require_safe
@login_required
@never_cache
def stats(request: HttpRequest) -> JsonResponse:
    """The figures as JSON; `?after=` leaves out the samples up to that time (seconds since 1970)."""
    try:
        _require_operator(request)
        return JsonResponse(operations_view(after=_time(request.GET.get("after", ""))))
    except AppError as error:
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
