"""/api/v1/jobs: a task over many texts, in the background."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Router, Schema
from pydantic import ConfigDict, ValidationError

from apps.accounts.access import principal_of
from apps.accounts.types import Principal
from apps.batches.selectors.batches import batch_get, batch_preview, batch_rows, batches_list
from apps.batches.selectors.summaries import batch_summary
from apps.batches.services import (
    Upload,
    batch_cancel,
    batch_create_from_file,
    batch_create_from_items,
    batch_delete,
    batch_pause,
    batch_resume,
    batch_start,
    batch_upload,
    upload_taken,
)
from apps.batches.services.export import content_type, results_stream
from apps.batches.tables.times import time_parse
from apps.batches.tables.types import FORMATS
from apps.batches.types import RowFilter
from apps.core.errors import Invalid
from apps.core.texts import form_read, json_read
from apps.usage.services import idempotent

router = Router(tags=["jobs"])


class ItemIn(Schema):
    """A text with what is known of it."""

    model_config = ConfigDict(extra="forbid")

    text: str
    time: str | int | float | None = None
    source: str | None = None
    id: str | int | None = None


class StartIn(Schema):
    """What a draft is to become: `columns` names those of `text` and optionally `time`, `source`, `reference`."""

    task: str
    columns: dict[str, str] = {}
    options: dict[str, Any] = {}
    header: bool = True
    topics: bool = True


class JobIn(Schema):
    """A task over items."""

    task: str
    items: list[str | ItemIn]
    options: dict[str, Any] = {}
    name: str = ""
    topics: bool = True


_FILE_FIELDS = {
    "file": {"type": "string", "format": "binary"},
    "task": {"type": "string"},
    "column": {"type": "string"},
    "time_column": {"type": "string"},
    "source_column": {"type": "string"},
    "id_column": {"type": "string"},
    "options": {"type": "string", "description": "a JSON object"},
    "name": {"type": "string"},
    "encoding": {"type": "string"},
    "header": {"type": "boolean", "default": True},
    "topics": {"type": "boolean", "default": True},
    "start": {"type": "boolean", "default": True, "description": "false leaves it as a draft, to be looked at first"},
}
# One route takes a form with a file or JSON: said here, since the generator knows one body per route.
_ITEMS_BODY = JobIn.model_json_schema(ref_template="#/components/schemas/{model}")
# The generator knows nothing of this model, so it stands where it is named.
_ITEMS_BODY["properties"]["items"]["items"] = {"anyOf": [{"type": "string"}, _ITEMS_BODY.pop("$defs")["ItemIn"]]}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _ITEMS_BODY},
            "multipart/form-data": {"schema": {"type": "object", "required": ["file"], "properties": _FILE_FIELDS}},
        },
    }
}


@router.post("", response={202: dict}, openapi_extra=_BODY)
def job_create(request: HttpRequest) -> tuple[int, dict[str, Any]]:
    """Start a task over `items`, or over the rows of a CSV, JSON-lines or XLSX `file`. Follow it by `GET /jobs/{id}`."""
    principal = principal_of(request)
    principal.require("analysis:write")
    if (request.content_type or "").startswith("multipart/"):
        return _from_file(request, principal)
    return _from_items(request)


@idempotent
def _from_items(request: HttpRequest) -> tuple[int, dict[str, Any]]:
    principal = principal_of(request)
    # What stands in the items is cleaned as the rows of a file are.
    given = json_read(request.body, kept=("items",))
    try:
        body = JobIn.model_validate(given)
    except ValidationError as error:
        details = [{"field": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors()[:20]]
        raise Invalid("The body is not the JSON that is expected here.", details=details) from None
    info = batch_create_from_items(
        tenant_id=principal.tenant_id,
        task=body.task,
        items=[item if isinstance(item, str) else item.model_dump() for item in body.items],
        options=body.options,
        name=body.name,
        topics=body.topics,
        actor=principal.actor,
    )
    return 202, info.as_dict()


def _from_file(request: HttpRequest, principal: Principal) -> tuple[int, dict[str, Any]]:
    """Store and read the file, and only then open the transaction in which an Idempotency-Key is looked at."""
    form, file = form_read(request), request.FILES.get("file")
    if file is None:
        raise Invalid("A file is needed.", code="file_missing")
    given = options_from(form.get("options", ""))
    with upload_taken(
        tenant_id=principal.tenant_id,
        file=file,
        name=form.get("name", ""),
        encoding=form.get("encoding", ""),
        actor=principal.actor,
    ) as upload:
        return _from_upload(request, upload, form, given)


@idempotent
def _from_upload(request: HttpRequest, upload: Upload, form: Any, given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    principal = principal_of(request)
    if not _truth(form.get("start", "true")):
        return 202, batch_upload(tenant_id=principal.tenant_id, upload=upload).as_dict()
    names = {"text": "column", "time": "time_column", "source": "source_column", "reference": "id_column"}
    info = batch_create_from_file(
        tenant_id=principal.tenant_id,
        task=form.get("task", ""),
        upload=upload,
        columns={role: form.get(field, "") for role, field in names.items()},
        options=given,
        has_header=_truth(form.get("header", "true")),
        topics=_truth(form.get("topics", "true")),
        actor=principal.actor,
    )
    return 202, info.as_dict()


def options_from(raw: str) -> dict[str, Any]:
    """Return the options in a form's field. Raises Invalid "options_invalid"."""
    if not raw.strip():
        return {}
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Invalid("options must be a JSON object.", code="options_invalid")
    return value


def _truth(raw: str) -> bool:
    return raw.strip().lower() not in {"false", "0", "no", "off"}


@router.get("")
def job_page(request: HttpRequest, status: str = "", cursor: str = "", limit: int = 50) -> dict[str, Any]:
    """Batches, newest first."""
    principal = principal_of(request)
    principal.require("analysis:use")
    items, following = batches_list(tenant_id=principal.tenant_id, status=status, cursor=cursor, limit=limit)
    return {"items": [item.as_dict() for item in items], "next_cursor": following}


@router.get("/{batch_id}")
def job_one(request: HttpRequest, batch_id: str) -> dict[str, Any]:
    """One batch: status, progress 0..1, rows done and failed, rate and seconds left. Of a draft also its first rows."""
    principal = principal_of(request)
    principal.require("analysis:use")
    info = batch_get(tenant_id=principal.tenant_id, batch_id=batch_id)
    if info.status != "draft":
        return info.as_dict()
    return info.as_dict() | {"preview": batch_preview(tenant_id=principal.tenant_id, batch_id=info.id)}


@router.post("/{batch_id}/start")
def job_start(request: HttpRequest, batch_id: str, body: StartIn) -> dict[str, Any]:
    """Start a draft."""
    principal = principal_of(request)
    principal.require("analysis:write")
    return batch_start(
        tenant_id=principal.tenant_id,
        batch_id=batch_id,
        task=body.task,
        options=body.options,
        columns=body.columns,
        has_header=body.header,
        topics=body.topics,
        actor=principal.actor,
    ).as_dict()


@router.post("/{batch_id}/pause")
def job_pause(request: HttpRequest, batch_id: str) -> dict[str, Any]:
    """Stop after the rows that are done."""
    principal = principal_of(request)
    principal.require("analysis:write")
    return batch_pause(tenant_id=principal.tenant_id, batch_id=batch_id, actor=principal.actor).as_dict()


@router.post("/{batch_id}/resume")
def job_resume(request: HttpRequest, batch_id: str) -> dict[str, Any]:
    """Go on with a batch that was paused or has failed."""
    principal = principal_of(request)
    principal.require("analysis:write")
    return batch_resume(tenant_id=principal.tenant_id, batch_id=batch_id, actor=principal.actor).as_dict()


@router.delete("/{batch_id}", response={200: dict, 204: None})
def job_remove(request: HttpRequest, batch_id: str, purge: bool = False) -> Any:
    """Cancel a batch; what is done stays to be fetched. With `purge` it is removed with everything it holds."""
    principal = principal_of(request)
    principal.require("analysis:write")
    if purge:
        batch_delete(tenant_id=principal.tenant_id, batch_id=batch_id, actor=principal.actor)
        return 204, None
    return 200, batch_cancel(tenant_id=principal.tenant_id, batch_id=batch_id, actor=principal.actor).as_dict()


@router.get("/{batch_id}/summary")
def job_summary(
    request: HttpRequest,
    batch_id: str,
    label: str = "",
    source: str = "",
    topic: str = "",
    since: str = "",
    until: str = "",
) -> dict[str, Any]:
    """Counts by label, source, topic and time, of the rows that pass the filters."""
    principal = principal_of(request)
    principal.require("analysis:use")
    chosen = filter_from(label=label, source=source, topic=topic, since=since, until=until)
    return batch_summary(tenant_id=principal.tenant_id, batch_id=batch_id, chosen=chosen)


@router.get("/{batch_id}/results", response={200: Any})
def job_results(
    request: HttpRequest,
    batch_id: str,
    format: str = "jsonl",
    label: str = "",
    source: str = "",
    topic: str = "",
    since: str = "",
    until: str = "",
    cursor: str = "",
    limit: int = 50,
) -> Any:
    """The results that pass the filters in the order of the input: as a file (`jsonl`, `csv`, `xlsx`), or with
    `format=json` in pages."""
    principal = principal_of(request)
    principal.require("analysis:use")
    chosen = filter_from(label=label, source=source, topic=topic, since=since, until=until)
    if format == "json":
        items, following = batch_rows(
            tenant_id=principal.tenant_id, batch_id=batch_id, chosen=chosen, cursor=cursor, limit=limit
        )
        return {"items": items, "next_cursor": following}
    return results_response(principal.tenant_id, batch_id, format, chosen)


def results_response(tenant_id: uuid.UUID, batch_id: object, format: str, chosen: RowFilter) -> HttpResponse:
    """Return the file of results. Raises NotFound, Invalid "format_unknown"."""
    kind = next((known for known in FORMATS if known == format), None)
    if kind is None:
        raise Invalid("format must be json, jsonl, csv or xlsx.", code="format_unknown")
    info = batch_get(tenant_id=tenant_id, batch_id=batch_id)
    stream = results_stream(tenant_id=tenant_id, batch_id=info.id, kind=kind, chosen=chosen)
    response: Any = StreamingHttpResponse(stream, content_type=content_type(kind))
    stem = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in info.name.rsplit(".", 1)[0])
    response.headers["Content-Disposition"] = f'attachment; filename="{stem.strip("-")[:80] or "results"}.{kind}"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response  # type: ignore[no-any-return]


def filter_from(*, label: str, source: str, topic: str, since: str, until: str) -> RowFilter:
    """Return the filter that a query asks for. Raises Invalid "time_invalid"."""
    times = []
    for raw in (since, until):
        found = time_parse(raw) if raw else None
        if raw and found is None:
            raise Invalid("A time is written as 2026-01-31 or 2026-01-31T12:00:00Z.", code="time_invalid")
        times.append(found)
    return RowFilter(label.replace("\x00", ""), source.replace("\x00", ""), topic.replace("\x00", ""), *times)
