"""/api/v1/analysis/translation: languages, glossary, translation memory, documents."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse, HttpRequest
from ninja import Router, Schema
from pydantic import Field

from apps.accounts.access import principal_of
from apps.accounts.types import Principal
from apps.core.errors import Invalid
from apps.core.texts import form_read
from apps.translation.services.documents import (
    document_create,
    document_delete,
    document_get,
    document_open,
    documents_list,
)
from apps.translation.services.glossary import glossary_delete, glossary_list, glossary_set
from apps.translation.services.memory import MAX_AT_ONCE, memory_add, memory_delete, memory_list
from apps.translation.services.pairs import language_name, languages_targets
from apps.translation.services.translate import Language
from apps.usage.services import idempotent

router = Router(tags=["translation"])


class TermIn(Schema):
    """A term and what it is called; `term` and `translation` may be the same."""

    source: Language
    target: Language
    term: str
    translation: str
    case_sensitive: bool = False


class UnitIn(Schema):
    text: str
    translation: str


class MemoryIn(Schema):
    """Approved translations of one pair of languages."""

    source: Language
    target: Language
    units: list[UnitIn] = Field(max_length=MAX_AT_ONCE)


_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "target"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "source": {"type": "string", "default": "auto"},
                        "target": {"type": "string"},
                    },
                }
            }
        },
    }
}


def _principal(request: HttpRequest, scope: str) -> Principal:
    principal = principal_of(request)
    principal.require(scope)
    return principal


@router.get("/languages")
def languages(request: HttpRequest) -> dict[str, Any]:
    """The languages that models of this installation name, and what each can be translated into."""
    _principal(request, "analysis:use")
    items = [
        {"code": code, "name": language_name(code), "targets": targets}
        for code, targets in sorted(languages_targets().items())
    ]
    return {"items": items}


@router.get("/glossary")
def glossary_page(
    request: HttpRequest, source: str = "", target: str = "", cursor: str = "", limit: int = 50
) -> dict[str, Any]:
    """Terms, newest first."""
    principal = _principal(request, "analysis:use")
    items, following = glossary_list(
        tenant_id=principal.tenant_id, source=source, target=target, cursor=cursor, limit=limit
    )
    return {"items": [item.as_dict() for item in items], "next_cursor": following}


@router.post("/glossary", response={201: dict})
@idempotent
def glossary_add(request: HttpRequest, body: TermIn) -> tuple[int, dict[str, Any]]:
    """Keep how a term is translated, in the place of what was kept for it before."""
    principal = _principal(request, "analysis:write")
    return 201, glossary_set(tenant_id=principal.tenant_id, actor=principal.actor, **body.dict()).as_dict()


@router.delete("/glossary/{entry_id}", response={204: None})
def glossary_remove(request: HttpRequest, entry_id: str) -> tuple[int, None]:
    """Remove a term."""
    principal = _principal(request, "analysis:write")
    glossary_delete(tenant_id=principal.tenant_id, entry_id=entry_id, actor=principal.actor)
    return 204, None


@router.get("/memory")
def memory_page(
    request: HttpRequest, source: str = "", target: str = "", q: str = "", cursor: str = "", limit: int = 50
) -> dict[str, Any]:
    """Approved translations, newest first; `q`: those of texts that have all of its words, or their beginnings."""
    principal = _principal(request, "analysis:use")
    items, following = memory_list(
        tenant_id=principal.tenant_id, source=source, target=target, q=q, cursor=cursor, limit=limit
    )
    return {"items": [item.as_dict() for item in items], "next_cursor": following}


@router.post("/memory", response={201: dict})
@idempotent
def memory_put(request: HttpRequest, body: MemoryIn) -> tuple[int, dict[str, Any]]:
    """Keep approved translations: a text that is the same again is translated so, without a model."""
    principal = _principal(request, "analysis:write")
    units = [(unit.text, unit.translation) for unit in body.units]
    added = memory_add(
        tenant_id=principal.tenant_id, source=body.source, target=body.target, units=units, actor=principal.actor
    )
    return 201, {"added": added}


@router.delete("/memory/{unit_id}", response={204: None})
def memory_remove(request: HttpRequest, unit_id: str) -> tuple[int, None]:
    """Forget an approved translation."""
    principal = _principal(request, "analysis:write")
    memory_delete(tenant_id=principal.tenant_id, unit_id=unit_id, actor=principal.actor)
    return 204, None


@router.post("/documents", response={202: dict}, openapi_extra=_FORM)
@idempotent
def document_add(request: HttpRequest) -> tuple[int, dict[str, Any]]:
    """Translate a file (multipart: `file`, `target`, `source`): TXT, Markdown, HTML, DOCX, SRT or PO.

    It comes back in the same format: follow `GET /documents/{id}`, then fetch `/documents/{id}/file`.
    """
    principal = _principal(request, "analysis:use")
    if not (request.content_type or "").startswith("multipart/"):
        raise Invalid("Send a form with a file.", code="file_missing")
    form, file = form_read(request), request.FILES.get("file")
    if file is None:
        raise Invalid("A file is needed.", code="file_missing")
    made = document_create(
        tenant_id=principal.tenant_id,
        file=file,
        source=form.get("source") or "auto",
        target=form.get("target", ""),
        actor=principal.actor,
    )
    return 202, made.as_dict()


@router.get("/documents")
def document_page(request: HttpRequest, cursor: str = "", limit: int = 50) -> dict[str, Any]:
    """Documents, newest first."""
    principal = _principal(request, "analysis:use")
    items, following = documents_list(tenant_id=principal.tenant_id, cursor=cursor, limit=limit)
    return {"items": [item.as_dict() for item in items], "next_cursor": following}


@router.get("/documents/{document_id}")
def document_one(request: HttpRequest, document_id: str) -> dict[str, Any]:
    """One document: status, progress 0..1, error."""
    principal = _principal(request, "analysis:use")
    return document_get(tenant_id=principal.tenant_id, document_id=document_id).as_dict()


@router.get("/documents/{document_id}/file")
def document_file(request: HttpRequest, document_id: str) -> Any:
    """The translated file."""
    principal = _principal(request, "analysis:use")
    file, name = document_open(tenant_id=principal.tenant_id, document_id=document_id)
    return FileResponse(file, as_attachment=True, filename=name, content_type="application/octet-stream")


@router.delete("/documents/{document_id}", response={204: None})
def document_remove(request: HttpRequest, document_id: str) -> tuple[int, None]:
    """Remove a document and its files."""
    principal = _principal(request, "analysis:use")
    document_delete(tenant_id=principal.tenant_id, document_id=document_id, actor=principal.actor)
    return 204, None
