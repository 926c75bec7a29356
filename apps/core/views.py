"""The living page of the design system."""

from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

TOKEN_GROUPS = (
    "bg surface surface-2 surface-3 line line-strong line-field",
    "text text-2 text-3 accent-fill accent-text accent-soft",
    "success-text success-soft warning-text warning-soft danger-text danger-soft danger-fill",
    "bot-text bot-soft person-text person-soft note-text note-soft",
    "chart-1 chart-2 chart-3 chart-4 chart-5 chart-6",
)


@require_safe
def styleguide(request: HttpRequest) -> HttpResponse:
    """All tokens, components and icons on one page. Mounted only in debug."""
    sprite = (Path(settings.BASE_DIR) / "static" / "icons.svg").read_text()
    context = {
        "token_groups": [group.split() for group in TOKEN_GROUPS],
        "icons": re.findall(r'id="([\w-]+)"', sprite),
        "sizes": ["xs", "sm", "md", "lg", "xl", "2xl"],
        "section": "styleguide",
    }
    return render(request, "core/styleguide.html", context)
