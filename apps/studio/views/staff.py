"""Who may open a page of the studio."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie

from apps.accounts.access import ACTIVE_ORGANIZATION, access_principal_by_user
from apps.core.errors import AppError


def staff(scope: str) -> Callable[[Callable[..., HttpResponseBase]], Callable[..., HttpResponseBase]]:
    """Require a signed-in member with the scope; the view gets the principal. Others see why they are refused."""

    def decorate(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        @login_required
        @never_cache
        @ensure_csrf_cookie
        @wraps(view)
        def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                principal = access_principal_by_user(request.user, request.session.get(ACTIVE_ORGANIZATION))  # type: ignore[arg-type]
                principal.require(scope)
            except AppError as error:
                return refused(request, error)
            return view(request, principal, *args, **kwargs)

        return wrapper

    return decorate


def refused(request: HttpRequest, error: AppError) -> HttpResponse:
    """Return the page that says why there is none."""
    return render(request, "studio/refused.html", {"section": "studio", "error": error}, status=error.status)
