"""Reads of judgements: those of targets, and those of a field in the order of time."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime

from django.db.models import Q

from apps.core.tenancy import tenant_scope
from apps.judgements.models import Judgement
from apps.judgements.types import Author, AuthorKind, JudgementInfo, JudgementPage

# Targets, and judgements of them, that one question answers.
MAX_TARGETS = 500
MAX_OF_TARGETS = 5_000
MAX_PAGE = 1_000


def judgement_info(row: Judgement) -> JudgementInfo:
    """Return the plain value of a row."""
    return JudgementInfo(
        id=row.id,
        target_kind=row.target_kind,
        target_id=row.target_id,
        field=row.field,
        value=row.value,
        number=row.number,
        author=Author(AuthorKind(row.author_kind), row.author_id),
        reason=row.reason,
        judged_at=row.judged_at,
    )


def judgements_of(
    *, tenant_id: uuid.UUID, target_kind: str, target_ids: Collection[object], field: str = ""
) -> list[JudgementInfo]:
    """Return what is held of up to 500 targets, oldest first; of one field, or of all. At most 5,000."""
    with tenant_scope(tenant_id):
        ids = [str(one) for one in list(target_ids)[:MAX_TARGETS]]
        rows = Judgement.objects.filter(target_kind=target_kind, target_id__in=ids)
        rows = rows.filter(field=field) if field else rows
        return [judgement_info(row) for row in rows.order_by("judged_at", "id")[:MAX_OF_TARGETS]]


def judgements_page(
    *,
    tenant_id: uuid.UUID,
    target_kind: str,
    field: str,
    since: datetime | None = None,
    until: datetime | None = None,
    after: tuple[datetime, uuid.UUID] | None = None,
    limit: int = MAX_PAGE,
) -> JudgementPage:
    """Return a page of a field's judgements in the order of time: from `since` on, before `until`, behind `after`."""
    with tenant_scope(tenant_id):
        rows = Judgement.objects.filter(target_kind=target_kind, field=field)
        rows = rows.filter(judged_at__gte=since) if since else rows
        rows = rows.filter(judged_at__lt=until) if until else rows
        if after:
            at, last = after
            rows = rows.filter(Q(judged_at__gt=at) | Q(judged_at=at, id__gt=last), judged_at__gte=at)
        most = max(1, min(limit, MAX_PAGE))
        found = list(rows.order_by("judged_at", "id")[: most + 1])
        more = found[most - 1] if len(found) > most else None
        items = [judgement_info(row) for row in found[:most]]
        return JudgementPage(items, (more.judged_at, more.id) if more else None)
