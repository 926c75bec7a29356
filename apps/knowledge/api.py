"""Knowledge routes of /api/v1."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any

from django.http import HttpRequest
from ninja import Router
from pydantic import ValidationError

from apps.accounts.access import principal_of
from apps.core.errors import Invalid
from apps.core.texts import form_read, json_read
from apps.inference.services import space_pause, space_resume, spaces_list
from apps.knowledge.schemas import SOURCE_BODY, SourceIn, VectorsIn
from apps.knowledge.selectors import passages_search, source_get, sources_list
from apps.knowledge.services import (
    source_create_from_files,
    source_create_from_text,
    source_create_from_url,
    source_delete,
    source_reingest,
)
from apps.knowledge.types import SourceInfo
from apps.usage.services import idempotent

router = Router(tags=["knowledge"])


@router.post("/sources", response={202: dict}, openapi_extra=SOURCE_BODY)
@idempotent
def source_add(request: HttpRequest) -> tuple[int, dict[str, Any]]:
    """Add files (multipart, `file` repeatable), a page and those below it (`url`), or a text (`title`, `text`).

    Reading goes on in the background: follow it by `GET /sources/{id}`.
    """
    principal = principal_of(request)
    principal.require("knowledge:write")
    if (request.content_type or "").startswith("multipart/"):
        info = _add_files(request, principal.tenant_id, principal.actor)
    else:
        info = _add_json(request, principal.tenant_id, principal.actor)
    return 202, info.as_dict()


def _add_files(request: HttpRequest, tenant_id: uuid.UUID, actor: str) -> SourceInfo:
    collection, files = form_read(request).get("collection"), request.FILES.getlist("file")
    return source_create_from_files(tenant_id=tenant_id, files=files, collection=collection, actor=actor)


def _add_json(request: HttpRequest, tenant_id: uuid.UUID, actor: str) -> SourceInfo:
    # A text is cleaned as a file of text is.
    given = json_read(request.body, kept=("text",))
    try:
        body = SourceIn.model_validate(given)
    except ValidationError as error:
        details = [{"field": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors()[:20]]
        raise Invalid("The body is not the JSON that is expected here.", details=details) from None
    if (body.url is None) == (body.text is None):
        raise Invalid("Send files, or url, or title and text.", code="source_missing")
    if body.url is not None:
        return source_create_from_url(tenant_id=tenant_id, url=body.url, collection=body.collection, actor=actor)
    return source_create_from_text(
        tenant_id=tenant_id, title=body.title or "", text=body.text or "", collection=body.collection, actor=actor
    )


@router.get("/sources")
def source_page(request: HttpRequest, collection: str = "", cursor: str = "", limit: int = 50) -> dict[str, Any]:
    """Sources, newest first."""
    principal = principal_of(request)
    principal.require("knowledge:read")
    items, following = sources_list(
        tenant_id=principal.tenant_id, collection=collection.replace("\x00", ""), cursor=cursor, limit=limit
    )
    return {"items": [item.as_dict() for item in items], "next_cursor": following}


@router.get("/sources/{source_id}")
def source_one(request: HttpRequest, source_id: str) -> dict[str, Any]:
    """One source: status, progress 0..1, what could not be read, numbers of documents and passages."""
    principal = principal_of(request)
    principal.require("knowledge:read")
    return source_get(tenant_id=principal.tenant_id, source_id=source_id).as_dict()


@router.delete("/sources/{source_id}", response={204: None})
def source_remove(request: HttpRequest, source_id: str) -> tuple[int, None]:
    """Remove a source and everything derived from it."""
    principal = principal_of(request)
    principal.require("knowledge:write")
    source_delete(tenant_id=principal.tenant_id, source_id=source_id, actor=principal.actor)
    return 204, None


@router.post("/sources/{source_id}/reingest", response={202: dict})
@idempotent
def source_again(request: HttpRequest, source_id: str) -> tuple[int, dict[str, Any]]:
    """Read a source again; what did not change is not embedded again, and what is there stays searchable meanwhile."""
    principal = principal_of(request)
    principal.require("knowledge:write")
    info = source_reingest(tenant_id=principal.tenant_id, source_id=source_id, actor=principal.actor)
    return 202, info.as_dict()


@router.get("/vectors")
def vectors_state(request: HttpRequest) -> dict[str, Any]:
    """The encoder that passages and messages are searched with, and how far the change to another one is."""
    principal = principal_of(request)
    principal.require("knowledge:read")
    return {"items": [one.as_dict() for one in spaces_list(tenant_id=principal.tenant_id)]}


@router.patch("/vectors")
def vectors_control(request: HttpRequest, body: VectorsIn) -> dict[str, Any]:
    """Pause or resume the change to another encoder; what is searched now stays searched."""
    principal = principal_of(request)
    principal.require("knowledge:write")
    change = space_pause if body.paused else space_resume
    change(tenant_id=principal.tenant_id, actor=principal.actor)
    return {"items": [one.as_dict() for one in spaces_list(tenant_id=principal.tenant_id)]}


@router.get("/search")
def search(request: HttpRequest, q: str, k: int = 8, collection: str = "") -> dict[str, Any]:
    """The `k` best passages for `q`, best first; `collection` may name several, parted by commas.

    `mode` is "words" where the encoder that the passages were read with is not installed any more.
    """
    principal = principal_of(request)
    principal.require("knowledge:read")
    names = [name.strip() for name in collection.replace("\x00", "").split(",") if name.strip()]
    found = passages_search(tenant_id=principal.tenant_id, query=q, k=k, collections=names or None)
    return {"results": [_rounded(dataclasses.asdict(passage)) for passage in found.passages], "mode": found.mode}


def _rounded(passage: dict[str, Any]) -> dict[str, Any]:
    scores = {name: round(passage[name], 4) for name in ("score", "cosine", "lexical")}
    return {**passage, **scores}
