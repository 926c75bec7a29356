"""Reads of batches and their rows."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from apps.batches.access import access_batch_by_id
from apps.batches.models import Batch, BatchRow
from apps.batches.numbers import ERROR, bucket_floor, bucket_number, name_of, number_of
from apps.batches.types import BatchInfo, RowFilter
from apps.core.errors import Invalid
from apps.core.pagination import cursor_number, page_limit, paginate
from apps.core.tenancy import tenant_scope
from apps.tenants.selectors import organization_settings

# Of at most 200,000 characters each: what an export holds in memory.
EXPORT_ROWS = 250
COLUMNS = ("row", "id", "time", "source", "text", "output", "label", "score", "topic", "error", "result")


def batch_get(*, tenant_id: uuid.UUID, batch_id: object) -> BatchInfo:
    """Return one batch. Raises NotFound."""
    with tenant_scope(tenant_id):
        return _info(access_batch_by_id(tenant_id, batch_id), _retention(tenant_id))


def batches_list(
    *, tenant_id: uuid.UUID, status: str = "", cursor: str = "", limit: int = 50
) -> tuple[list[BatchInfo], str | None]:
    """Return a page of batches, newest first, and the next cursor. Raises Invalid for a status, cursor or limit."""
    if status and (status not in Batch.Status.values or status == Batch.Status.DELETING):
        raise Invalid("There is no such status.", code="status_invalid")
    with tenant_scope(tenant_id):
        rows = Batch.objects.exclude(status=Batch.Status.DELETING).defer("columns")
        page, following = paginate(rows.filter(status=status) if status else rows, cursor=cursor, limit=limit)
        kept = _retention(tenant_id)
        return [_info(row, kept, columns=False) for row in page], following


def batch_preview(*, tenant_id: uuid.UUID, batch_id: object) -> dict[str, Any]:
    """Return a draft's {"header", "rows", "guess"}. Raises NotFound."""
    columns = access_batch_by_id(tenant_id, batch_id).columns
    return {name: columns.get(name, []) for name in ("header", "rows", "guess")}


def batch_rows(
    *, tenant_id: uuid.UUID, batch_id: object, chosen: RowFilter, cursor: str = "", limit: int = 50
) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of results in the order of the file, and the next cursor. Raises NotFound, Invalid."""
    limit = page_limit(limit)
    after = cursor_number(cursor, default=-1)
    with tenant_scope(tenant_id):
        batch = access_batch_by_id(tenant_id, batch_id)
        found = _rows(batch, chosen).filter(position__gt=after).order_by("position")[: limit + 1]
        rows = list(found)
        shown = [row_dict(batch, row) for row in rows[:limit]]
    return shown, str(rows[limit - 1].position) if len(rows) > limit else None


def batch_export(
    *, tenant_id: uuid.UUID, batch_id: object, chosen: RowFilter, after: int
) -> tuple[list[dict[str, Any]], int | None]:
    """Return the next 250 results after the position `after`, and the position to go on after, or None at the end."""
    with tenant_scope(tenant_id):
        batch = access_batch_by_id(tenant_id, batch_id)
        rows = list(_rows(batch, chosen).filter(position__gt=after).order_by("position")[:EXPORT_ROWS])
        shown = [row_dict(batch, row) for row in rows]
    return shown, rows[-1].position if len(rows) == EXPORT_ROWS else None


def row_dict(batch: Batch, row: BatchRow) -> dict[str, Any]:
    """Return a result as the API shows it; what there is not is None."""
    failed = row.label_no == ERROR
    return {
        "row": row.position,
        "id": row.reference or None,
        "time": row.at.isoformat().replace("+00:00", "Z") if row.at else None,
        "source": row.source or None,
        "text": row.text,
        "output": row.output or None,
        "label": name_of(row.label_no, batch.labels) if row.label_no >= 0 else None,
        "score": row.score,
        "topic": name_of(row.topic_no, batch.topics) if row.topic_no >= 0 else None,
        "error": row.result.get("error") if failed else None,
        "result": None if failed else row.result,
    }


def filter_numbers(batch: Batch, chosen: RowFilter) -> dict[str, int] | None:
    """Return the filter as conditions on numbers, or None when it names what the batch does not have."""
    conditions: dict[str, int] = {}
    lists: tuple[tuple[str, str, Sequence[str]], ...] = (
        ("label_no", chosen.label, batch.labels),
        ("source_no", chosen.source, batch.sources),
        ("topic_no", chosen.topic, batch.topics),
    )
    for column, name, names in lists:
        if name:
            number = number_of(name, names)
            if number is None:
                return None
            conditions[column] = number
    if chosen.since is not None or chosen.until is not None:
        if batch.bucket_start is None:
            return None
        conditions |= _bucket_range(batch.bucket_unit, batch.bucket_start, chosen)
    return conditions


def _bucket_range(unit: str, start: datetime, chosen: RowFilter) -> dict[str, int]:
    least, most = 0, 2**31 - 1
    if chosen.since is not None:
        least = max(0, bucket_number(bucket_floor(chosen.since, unit), unit, start))
    if chosen.until is not None:
        last = bucket_floor(chosen.until - timedelta(microseconds=1), unit)
        most = max(-1, bucket_number(last, unit, start))
    return {"bucket_no__gte": min(least, 2**31 - 1), "bucket_no__lte": min(most, 2**31 - 1)}


def _rows(batch: Batch, chosen: RowFilter) -> QuerySet[BatchRow]:
    conditions = filter_numbers(batch, chosen)
    if conditions is None:
        return BatchRow.objects.none()
    return BatchRow.objects.filter(batch_id=batch.id, **conditions)


def _retention(tenant_id: uuid.UUID) -> timedelta:
    return timedelta(days=organization_settings(tenant_id=tenant_id)["batch_retention_days"])


def _info(row: Batch, kept: timedelta, *, columns: bool = True) -> BatchInfo:
    return BatchInfo(
        id=row.id,
        name=row.name,
        task=row.task,
        options=row.options,
        status=row.status,
        format=row.format,
        columns=row.columns.get("chosen", {}) if columns else {},
        total=row.total,
        done=row.position,
        failed=row.failed,
        rate_per_s=row.rate_per_s,
        topics=tuple(row.topics),
        topics_note=row.topics_note,
        error_code=row.error_code,
        error_message=row.error_message,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        expires_at=row.finished_at + kept if row.finished_at else None,
    )
