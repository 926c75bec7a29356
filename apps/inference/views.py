"""The operators' page: what the models of the installation do now. It names no organisation and shows no text."""

from __future__ import annotations

import math
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.core.errors import AppError, Forbidden, Unavailable
from apps.core.languages import catalogue_render
from apps.core.looks import Looks
from apps.inference.messages import OPERATIONS_MESSAGES
from apps.inference.selectors import operations_view

RETRY_AFTER_S = 2.0
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
        found = _looks.run(_time(request.GET.get("after", "")))["operations"]
        if found is None:
            raise Unavailable("Redis does not answer.", retry_after_s=RETRY_AFTER_S)
        return JsonResponse(found)
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
