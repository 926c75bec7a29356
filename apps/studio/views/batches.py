"""Pages of batches: the list with the way in, and one batch from its draft to its charts."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.accounts.types import Principal
from apps.batches.selectors.batches import batch_get
from apps.core.errors import AppError
from apps.core.languages import catalogue_render
from apps.studio.messages import STUDIO_MESSAGES
from apps.studio.messages_batches import BATCH_MESSAGES
from apps.studio.views.staff import refused, staff
from apps.studio.views.studio import form_choices, page_render


def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    messages = catalogue_render(STUDIO_MESSAGES | BATCH_MESSAGES)
    return page_render(request, template, "batches", {"messages_catalogue": messages} | context)


@require_safe
@staff("analysis:use")
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    """The batches of the organisation."""
    context = {
        "may_write": "analysis:write" in principal.scopes,
        "max_bytes": settings.BATCH_MAX_FILE_BYTES,
        "max_mib": settings.BATCH_MAX_FILE_BYTES // 1024**2,
    }
    return _page(request, "studio/batches.html", context)


@require_safe
@staff("analysis:use")
def batch(request: HttpRequest, principal: Principal, batch_id: str) -> HttpResponse:
    """One batch. What it shows comes from /api/v1/jobs."""
    try:
        info = batch_get(tenant_id=principal.tenant_id, batch_id=batch_id)
    except AppError as error:
        if error.status != 404:
            return refused(request, error)
        return render(request, "studio/batch_missing.html", {"section": "studio", "page": "batches"}, status=404)
    context = {"batch": info, "choices": form_choices(principal), "may_write": "analysis:write" in principal.scopes}
    return _page(request, "studio/batch.html", context)
