"""Writes of the log. Each belongs inside the transaction of the change that it tells of."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from apps.core.tenancy import TenantUnset, current_tenant_id
from apps.events.models import AuditEntry, Delivery, Event, OutboxEntry
from apps.events.services.registry import handler_names

NOTIFY_CHANNEL = "nlpsuite_outbox"


def event_record(
    *, type: str, subject_type: str, subject_id: uuid.UUID, data: dict[str, Any] | None = None, actor: str = ""
) -> uuid.UUID:
    """Write an event and its outbox entry in the open tenant scope; returns its id. The commit wakes the dispatcher."""
    tenant_id = _tenant()
    event = Event.objects.create(
        type=type,
        subject_type=subject_type,
        subject_id=subject_id,
        data=data or {},
        actor=actor[:80],
        handlers=handler_names(type),
    )
    OutboxEntry.objects.create(tenant_id=tenant_id, event_id=event.id)
    if all(waiting[1] is not _wake for waiting in connection.run_on_commit):
        transaction.on_commit(_wake, robust=True)
    return event.id


def _wake() -> None:
    """Tell the dispatcher that something was committed, once for each transaction.

    After the commit: inside, PostgreSQL lets transactions that notify commit one after the other, each waiting for the disk
    (`python -m bench.notify`, 8 writers: 306 commits a second inside, 692 after, 773 without). What is lost when a process
    ends in between, the dispatcher finds half a second later.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"NOTIFY {NOTIFY_CHANNEL}")


def audit_record(*, action: str, actor: str, target: str = "", data: dict[str, Any] | None = None) -> None:
    """Write one audit row in the open tenant scope."""
    _tenant()
    AuditEntry.objects.create(action=action, actor=actor[:80], target=target[:120], data=data or {})


def events_forget(*, most: int) -> int:
    """Delete up to `most` events of the open scope's organisation, their outbox entries and deliveries; returns how many."""
    tenant_id = _tenant()
    some = list(Event.objects.order_by("type", "created_at").values_list("id", flat=True)[:most])
    OutboxEntry.objects.filter(tenant_id=tenant_id, event_id__in=some).delete()
    # Each event has few: no part grows far beyond `most`.
    Delivery.objects.filter(tenant_id=tenant_id, event_id__in=some).delete()
    Event.objects.filter(id__in=some)._raw_delete("default")
    return len(some)


def events_blank(*, type: str, subject_ids: Collection[uuid.UUID], since: datetime) -> int:
    """Empty the data of events of a type about subjects that are being erased, in the open scope; returns how many.

    `since` is when the first of the subjects began: the index of types and times is read from there on.
    """
    rows = Event.objects.filter(type=type, created_at__gte=since, subject_id__in=list(subject_ids))
    return rows.update(data={})


def _tenant() -> uuid.UUID:
    tenant_id = current_tenant_id()
    if tenant_id is None:
        raise TenantUnset("events are written inside tenant_scope")
    return tenant_id
