"""The agent console. The page is a shell: its data comes from /api/v1 and ws/inbox, which check the member's role."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from apps.core.languages import catalogue_render
from apps.inbox.messages import CONSOLE_MESSAGES


@require_safe
@login_required
@never_cache
@ensure_csrf_cookie
def index(request: HttpRequest) -> HttpResponse:
    """The console for the signed-in member."""
    return render(
        request, "inbox/index.html", {"section": "inbox", "messages_catalogue": catalogue_render(CONSOLE_MESSAGES)}
    )
