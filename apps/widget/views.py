"""The public pages of the edge: the embed script, the chat frame and the demo page."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from csp.decorators import csp_replace
from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.shortcuts import render
from django.utils import translation
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_safe

from apps.conversations import access
from apps.core.errors import NotFound
from apps.core.languages import catalogue_render, offered_languages
from apps.tenants.selectors import organization_get
from apps.widget.channel import widget_settings
from apps.widget.messages import FRAME_MESSAGES

EMBED_MAX_AGE_S = 300
MESSAGE_MAX_POINTS = 4000
THEMES = {"light", "dark", "contrast"}


@cache
def embed_source() -> tuple[bytes, str]:
    """Return the embed script and its strong entity tag. Read once: it changes only with the installed version."""
    found = finders.find("widget/embed.js")
    if not isinstance(found, str):
        raise FileNotFoundError("static/widget/embed.js is not among the static files")
    source = Path(found).read_bytes()
    return source, f'"{sha256(source).hexdigest()[:24]}"'


@require_safe
def embed_script(request: HttpRequest) -> HttpResponse:
    """The script that other sites include. It is public and the same for everyone, so any origin may load it."""
    source, tag = embed_source()
    if request.headers.get("If-None-Match") == tag:
        response: HttpResponse = HttpResponseNotModified()
    else:
        response = HttpResponse(source, content_type="text/javascript; charset=utf-8")
    response["ETag"] = tag
    response["Cache-Control"] = f"public, max-age={EMBED_MAX_AGE_S}, stale-while-revalidate=86400"
    response["Access-Control-Allow-Origin"] = "*"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@require_safe
@xframe_options_exempt
def frame_page(request: HttpRequest) -> HttpResponse:
    """The chat itself, for the iframe of `embed_script`; only the inbox's origins and our own may frame it.

    Query: token (the inbox's public widget token), origin (of the embedding page, verified here), locale, theme.
    """
    try:
        inbox = access.access_inbox_by_widget_token(request.GET.get("token", ""))
    except NotFound:
        return render(request, "widget/frame_missing.html", status=404)
    look = widget_settings(inbox)
    origins = [*settings.OWN_ORIGINS, *(origin for origin in look.allowed_origins if _is_origin(origin))]
    parent = request.GET.get("origin", "")
    locale = _locale_choose(request.GET.get("locale", ""), inbox.locale)
    config: dict[str, Any] = {
        "token": request.GET["token"],
        # Visitors know the company; the inbox's own name is for staff.
        "name": organization_get(tenant_id=inbox.tenant_id).name,
        "accent": look.accent,
        "greeting": look.greeting,
        "suggested_questions": look.suggested_questions,
        "locale": locale,
        "origins": origins,
        "parent_origin": parent if parent in origins else "",
        "max_length": MESSAGE_MAX_POINTS,
        "identity_required": inbox.identity_required,
    }
    context = {"config": config, "catalogues": _frame_catalogues(), "locale": locale}
    theme = request.GET.get("theme", "")
    context["theme"] = theme if theme in THEMES else ""
    policy = csp_replace({"frame-ancestors": ["'self'", *origins]})
    response = cast(HttpResponse, policy(lambda inner: render(inner, "widget/frame.html", context))(request))
    response["Cache-Control"] = "private, no-cache"
    return response


@require_safe
def demo_page(request: HttpRequest) -> HttpResponse:
    """A page of a made-up shop with the demo organisation's widget on it."""
    inbox = access.access_inbox_demo()
    return render(request, "widget/demo.html", {"inbox": inbox, "look": widget_settings(inbox) if inbox else None})


def _is_origin(value: str) -> bool:
    """Whether `value` is exactly an http(s) origin: anything else must not reach a header."""
    parts = urlsplit(value)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and value == f"{parts.scheme}://{parts.netloc}"


def _locale_choose(wanted: str, fallback: str) -> str:
    codes = [code for code, _ in offered_languages()]
    for candidate in (wanted.lower(), fallback.lower(), settings.LANGUAGE_CODE):
        for code in codes:
            if candidate and candidate.split("-")[0] == code.split("-")[0]:
                return code
    return codes[0]


def _frame_catalogues() -> dict[str, dict[str, str]]:
    """All languages at once, so that `nlpsuite.setLocale` needs no reload."""
    catalogues = {}
    for code, _ in offered_languages():
        with translation.override(code):
            catalogues[code] = catalogue_render(FRAME_MESSAGES)
    return catalogues
