"""The pages of the studio. They are shells: what they show comes from /api/v1."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.accounts.types import Principal
from apps.analysis.messages import STUDIO_MESSAGES
from apps.analysis.views.staff import staff
from apps.core.languages import catalogue_render


def page_render(request: HttpRequest, template: str, page: str, context: dict[str, Any]) -> HttpResponse:
    """Return a page of the studio; `page` is its name in the sub-navigation."""
    shared = {"section": "studio", "page": page, "messages_catalogue": catalogue_render(STUDIO_MESSAGES)}
    return render(request, template, shared | context)


@require_safe
@staff("analysis:use")
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Try a text with each task."""
    return page_render(request, "studio/index.html", "try", {})
