"""The pages of the studio. They are shells: what they show comes from /api/v1."""

from __future__ import annotations

import math
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.types import Principal
from apps.core.errors import AppError, Invalid
from apps.core.languages import catalogue_render
from apps.inference.services import model_list
from apps.knowledge.selectors import collections_list
from apps.knowledge.services import document_read, page_read
from apps.studio.messages import STUDIO_MESSAGES
from apps.studio.views.staff import staff
from apps.translation.types import MAX_CHARS
from apps.usage.services import rate_check

READS_PER_MINUTE = 30


def page_render(request: HttpRequest, template: str, page: str, context: dict[str, Any]) -> HttpResponse:
    """Return a page of the studio; `page` is its name in the sub-navigation."""
    shared = {"section": "studio", "page": page, "messages_catalogue": catalogue_render(STUDIO_MESSAGES)}
    return render(request, template, shared | context)


def form_choices(principal: Principal) -> dict[str, Any]:
    """Return what forms offer besides the tasks' own options: models by role, collections, pairs of languages."""
    models = model_list()
    roles: dict[str, list[dict[str, Any]]] = {}
    for model in models:
        roles.setdefault(model.role, []).append({"name": model.name, "default": model.is_default})
    may_read = "knowledge:read" in principal.scopes
    return {
        "models": roles,
        "pairs": sorted({pair for model in models for pair in model.languages}),
        "collections": collections_list(tenant_id=principal.tenant_id) if may_read else [],
        "conversations": "conversations:read" in principal.scopes,
        "write": "analysis:write" in principal.scopes,
    }


@require_safe
@staff("analysis:use")
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Try a text with each task."""
    return page_render(request, "studio/index.html", "try", {"choices": form_choices(principal)})


@require_safe
@staff("analysis:use")
def compare(request: HttpRequest, principal: Principal) -> HttpResponse:
    """One text through up to four models or sets of options, side by side."""
    return page_render(request, "studio/compare.html", "compare", {"choices": form_choices(principal)})


@require_safe
@staff("analysis:use")
def classifiers(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Classifiers that learn from examples: their labels, versions and measured quality."""
    return page_render(request, "studio/classifiers.html", "classifiers", {"choices": form_choices(principal)})


@require_POST
@staff("analysis:use")
def read(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Return the text of an uploaded `file`, or of the page at `url`, as JSON. Nothing is stored."""
    try:
        rate_check(scope=principal.tenant_id, key="studio_read", limit=READS_PER_MINUTE, window_s=60)
        file, url = request.FILES.get("file"), request.POST.get("url", "").strip()
        if file is not None:
            found = document_read(name=file.name or "", data=file.read(), max_chars=MAX_CHARS)
        elif url:
            found = page_read(url=url, max_chars=MAX_CHARS)
        else:
            raise Invalid("Choose a file, or give an address.", code="file_missing")
    except AppError as error:
        return _error_json(request, error)
    return JsonResponse(found.as_dict())


def _error_json(request: HttpRequest, error: AppError) -> JsonResponse:
    body = {"code": error.code, "message": str(error.message), "request_id": getattr(request, "request_id", "")}
    response = JsonResponse({"error": body}, status=error.status)
    if error.retry_after_s:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return response
