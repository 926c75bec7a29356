"""Reads of sources."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from apps.core.pagination import paginate
from apps.core.tenancy import tenant_scope
from apps.jobs.services import jobs_get
from apps.jobs.types import JobInfo
from apps.knowledge.access import access_source_by_id
from apps.knowledge.models import Source
from apps.knowledge.types import SourceInfo, SourceStatus

_ACTIVE = (SourceStatus.QUEUED, SourceStatus.RUNNING)


def source_get(*, tenant_id: uuid.UUID, source_id: object) -> SourceInfo:
    """Return one source with its present progress. Raises NotFound."""
    return _infos([access_source_by_id(tenant_id, source_id)])[0]


def sources_list(
    *, tenant_id: uuid.UUID, collection: str = "", cursor: str = "", limit: int = 50
) -> tuple[list[SourceInfo], str | None]:
    """Return a page of sources, newest first, and the cursor of the next. Raises Invalid for a cursor or limit."""
    with tenant_scope(tenant_id):
        rows = Source.objects.filter(collection=collection) if collection else Source.objects.all()
        page, following = paginate(rows, cursor=cursor, limit=limit)
        return _infos(page), following


def collections_list(*, tenant_id: uuid.UUID) -> list[str]:
    """Return the names of the collections in use (at most 500)."""
    with tenant_scope(tenant_id):
        return list(Source.objects.order_by("collection").values_list("collection", flat=True).distinct()[:500])


def _infos(rows: Sequence[Source]) -> list[SourceInfo]:
    """The sources with the progress of those that are being read, asked for together."""
    active = [row.job_id for row in rows if row.status in _ACTIVE and row.job_id]
    jobs = jobs_get(tenant_id=rows[0].tenant_id, job_ids=active) if active else {}
    return [_info(row, jobs.get(row.job_id) if row.job_id in active else None) for row in rows]


def _info(row: Source, job: JobInfo | None) -> SourceInfo:
    progress, note = (1.0 if row.status == SourceStatus.READY else 0.0), ""
    if job is not None:
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
