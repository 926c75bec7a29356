"""Reads of sources."""

from __future__ import annotations

import uuid

from apps.core.pagination import paginate
from apps.core.tenancy import tenant_scope
from apps.jobs.services import job_get
from apps.knowledge.access import access_source_by_id
from apps.knowledge.models import Source
from apps.knowledge.types import SourceInfo, SourceStatus

_ACTIVE = (SourceStatus.QUEUED, SourceStatus.RUNNING)


def source_get(*, tenant_id: uuid.UUID, source_id: object) -> SourceInfo:
    """Return one source with its present progress. Raises NotFound."""
    return _info(access_source_by_id(tenant_id, source_id))


def sources_list(
    *, tenant_id: uuid.UUID, collection: str = "", cursor: str = "", limit: int = 50
) -> tuple[list[SourceInfo], str | None]:
    """Return a page of sources, newest first, and the cursor of the next. Raises Invalid for a cursor or limit."""
    with tenant_scope(tenant_id):
        rows = Source.objects.filter(collection=collection) if collection else Source.objects.all()
        page, following = paginate(rows, cursor=cursor, limit=limit)
        return [_info(row) for row in page], following


def collections_list(*, tenant_id: uuid.UUID) -> list[str]:
    """Return the names of the collections in use (at most 500)."""
    with tenant_scope(tenant_id):
        return list(Source.objects.order_by("collection").values_list("collection", flat=True).distinct()[:500])


def _info(row: Source) -> SourceInfo:
    progress, note = (1.0 if row.status == SourceStatus.READY else 0.0), ""
    if row.status in _ACTIVE and row.job_id:
        job = job_get(tenant_id=row.tenant_id, job_id=row.job_id)
        progress, note = min(job.progress, 0.99), job.note
    return SourceInfo(
        id=row.id,
        kind=row.kind,
        name=row.name,
        collection=row.collection,
        status=row.status,
        progress=progress,
        note=note,
        error_code=row.error_code,
        error_message=row.error_message,
        problems=tuple(row.problems),
        flags=tuple(row.flags),
        documents=row.document_count,
        chunks=row.chunk_count,
        size_bytes=row.size_bytes,
        created_at=row.created_at,
        ready_at=row.ready_at,
    )
