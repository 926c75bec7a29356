"""Staff pages of the knowledge base, and the page that shows a cited passage."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.access import ACTIVE_ORGANIZATION, access_principal_by_user
from apps.accounts.types import Principal
from apps.core.errors import AppError, NotFound
from apps.core.texts import form_read
from apps.inference.services import PASSAGES, space_change
from apps.knowledge.selectors import collections_list, passage_view, passages_search, sources_list
from apps.knowledge.services import (
    source_create_from_files,
    source_create_from_text,
    source_create_from_url,
    source_delete,
    source_reingest,
)
from apps.knowledge.types import SourceInfo

_ACTIVE = ("queued", "running")


def _staff(scope: str) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponseBase]]:
    """Require a signed-in member with the scope; the view gets the principal."""

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
        @login_required
        @never_cache
        @wraps(view)
        def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                principal = access_principal_by_user(request.user, request.session.get(ACTIVE_ORGANIZATION))  # type: ignore[arg-type]
                principal.require(scope)
            except AppError as error:
                return render(request, "knowledge/refused.html", {"error": error}, status=error.status)
            return view(request, principal, *args, **kwargs)

        return wrapper

    return decorate


def error_text(code: str, message: str = "") -> str:
    """Return what a refusal means, for people, in their language."""
    known = {
        "unsupported_type": _("This kind of file cannot be read. Use HTML, Markdown, text, PDF or DOCX."),
        "too_large": _("The file is larger than the limit."),
        "file_empty": _("The file is empty."),
        "file_missing": _("Choose at least one file."),
        "text_missing": _("The text is empty."),
        "encrypted": _("The file is protected by a password."),
        "bomb_refused": _("The file unpacks to far more than it should, and was refused."),
        "extract_failed": _("The file could not be read. It may be damaged, or hold only pictures."),
        "extract_timeout": _("Reading the file took too long."),
        "nothing_found": _("No text was found."),
        "too_many_passages": _("There is more text than one source may have. Split it into several."),
        "address_refused": _("This address is not public, or its name does not exist."),
        "fetch_failed": _("The address could not be reached."),
        "fetch_status": _("The address answered with an error."),
        "deadline_exceeded": _("The address did not answer in time."),
        "collection_invalid": _("A collection is named by 1 to 60 of a-z, 0-9, - and _."),
        "source_busy": _("This source is being read already."),
        "source_not_found": _("This source is not there any more."),
        "cancelled": _("The reading was stopped."),
    }
    return known.get(code) or message or _("Something went wrong.")


def _row(info: SourceInfo) -> dict[str, Any]:
    problems = [{"name": p["name"], "text": error_text(p["code"], p["message"])} for p in info.problems]
    return {
        "info": info,
        "active": info.status in _ACTIVE,
        "percent": round(info.progress * 100),
        "error": error_text(info.error_code, info.error_message) if info.error_code else "",
        "problems": problems if info.status == "ready" else [],
        "hidden_text": "hidden_text" in info.flags,
    }


def _listing(request: HttpRequest, principal: Principal) -> dict[str, Any]:
    items, following = sources_list(tenant_id=principal.tenant_id, cursor=request.GET.get("cursor", ""), limit=50)
    rows = [_row(item) for item in items]
    return {
        "rows": rows,
        "next_cursor": following,
        "any_active": any(row["active"] for row in rows),
        "may_write": "knowledge:write" in principal.scopes,
        "change": space_change(tenant_id=principal.tenant_id, holder=PASSAGES),
    }


@require_GET
@_staff("knowledge:read")
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    """The list of sources, the forms to add some, and a box to try the search."""
    query = request.GET.get("q", "").strip()
    context: dict[str, Any] = {"section": "knowledge", "query": query, "passages": None, "search_error": ""}
    try:
        context |= _listing(request, principal)
        context["collections"] = collections_list(tenant_id=principal.tenant_id)
        if query:
            context["passages"] = passages_search(tenant_id=principal.tenant_id, query=query, k=8).passages
    except AppError as error:
        if "rows" not in context:
            return render(request, "knowledge/refused.html", {"error": error}, status=error.status)
        context["search_error"] = error_text(error.code, str(error.message))
    return render(request, "knowledge/index.html", context)


@require_GET
@_staff("knowledge:read")
def rows(request: HttpRequest, principal: Principal) -> HttpResponse:
    """The rows of the list, for the page to refresh itself while something is being read."""
    return render(request, "knowledge/rows.html", _listing(request, principal))


@require_POST
@_staff("knowledge:write")
def add(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Add files, an address or a text; `kind` says which."""
    try:
        form = form_read(request)
        given: dict[str, Any] = {
            "tenant_id": principal.tenant_id,
            "collection": form.get("collection"),
            "actor": principal.actor,
        }
        kind = form.get("kind")
        if kind == "url":
            source_create_from_url(url=form.get("url", ""), **given)
        elif kind == "text":
            source_create_from_text(title=form.get("title", ""), text=form.get("text", ""), **given)
        else:
            source_create_from_files(files=request.FILES.getlist("file"), **given)
    except AppError as error:
        messages.error(request, error_text(error.code, str(error.message)))
    else:
        messages.success(request, _("Added. Reading has started."))
    return redirect("knowledge:index")


@require_POST
@_staff("knowledge:write")
def delete(request: HttpRequest, principal: Principal, source_id: str) -> HttpResponse:
    """Remove a source."""
    try:
        source_delete(tenant_id=principal.tenant_id, source_id=source_id, actor=principal.actor)
    except AppError as error:
        messages.error(request, error_text(error.code, str(error.message)))
    else:
        messages.success(request, _("Removed, with everything derived from it."))
    return redirect("knowledge:index")


@require_POST
@_staff("knowledge:write")
def reingest(request: HttpRequest, principal: Principal, source_id: str) -> HttpResponse:
    """Read a source again."""
    try:
        source_reingest(tenant_id=principal.tenant_id, source_id=source_id, actor=principal.actor)
    except AppError as error:
        messages.error(request, error_text(error.code, str(error.message)))
    return redirect("knowledge:index")


@require_GET
@never_cache
def passage(request: HttpRequest) -> HttpResponse:
    """A cited passage in its document. The signature in `t` is the permission: no session is needed."""
    try:
        shown = passage_view(token=request.GET.get("t", ""))
    except NotFound as error:
        gone = error.code == "passage_gone"
        return render(request, "knowledge/passage_missing.html", {"gone": gone}, status=404)
    sections: list[dict[str, Any]] = []
    for index_, chunk in enumerate(shown.chunks):
        if not sections or sections[-1]["heading"] != chunk.heading:
            sections.append({"heading": chunk.heading, "anchor": chunk.anchor, "chunks": []})
        sections[-1]["chunks"].append({"text": chunk.text, "cited": index_ == shown.found})
    response = render(request, "knowledge/passage.html", {"view": shown, "sections": sections})
    response.headers["X-Robots-Tag"] = "noindex"
    return response
