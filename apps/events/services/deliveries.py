"""Deliveries that need somebody: dead ones, and those whose handler this code does not know."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence

from django.db.models import QuerySet

from apps.core.clock import now
from apps.core.tenancy import tenant_scope
from apps.events.models import Delivery, Event, OutboxEntry
from apps.events.services.record import audit_record
from apps.events.types import DeliveryInfo

# Rows that one statement changes at most; repeated until none is left.
PART = 1000
KEPT_STATES = (Delivery.State.DEAD, Delivery.State.UNKNOWN)


def deliveries_list(*, state: str, handler: str = "", limit: int = 100) -> list[DeliveryInfo]:
    """Return up to `limit` deliveries in a state (dead, unknown, pending), oldest first, with the type of their event."""
    rows = list(_chosen(state, handler).order_by("id")[:limit])
    types: dict[uuid.UUID, str] = {}
    for tenant_id in {row.tenant_id for row in rows}:
        ids = [row.event_id for row in rows if row.tenant_id == tenant_id]
        with tenant_scope(tenant_id):
            types |= dict(Event.objects.filter(id__in=ids).values_list("id", "type"))
    return [
        DeliveryInfo(
            row.id,
            row.tenant_id,
            row.event_id,
            types.get(row.event_id, ""),
            row.handler,
            row.state,
            row.attempts,
            row.error,
            row.created_at,
            row.next_attempt_at,
        )
        for row in rows
    ]


def deliveries_retry(*, actor: str, ids: Collection[int] | None = None, handler: str = "") -> int:
    """Let dead deliveries be tried again from now on, with all their attempts; returns how many.

    Chosen by id, by handler, or all. All means also entries of the outbox that died before there were deliveries.
    Effects: an audit row in each organisation whose deliveries they are, with the rows of that organisation.
    """
    revived = 0
    while part := _part(Delivery.State.DEAD, ids, handler):
        by_tenant: dict[uuid.UUID, list[int]] = defaultdict(list)
        for number, tenant_id in part:
            by_tenant[tenant_id].append(number)
        for tenant_id, numbers in by_tenant.items():
            revived += _revive(tenant_id, numbers, handler, actor)
    if ids is None and not handler:
        revived += OutboxEntry.objects.filter(state="dead").update(state="pending", attempts=0, next_attempt_at=now())
    return revived


def _revive(tenant_id: uuid.UUID, numbers: Sequence[int], handler: str, actor: str) -> int:
    with tenant_scope(tenant_id):
        count = Delivery.objects.filter(id__in=numbers, state=Delivery.State.DEAD).update(
            state=Delivery.State.PENDING, attempts=0, error="", next_attempt_at=now()
        )
        if count:
            audit_record(action="deliveries.retried", actor=actor, target=handler, data={"count": count})
    return count


def deliveries_drop(*, state: str, ids: Collection[int] | None = None, handler: str = "") -> int:
    """Delete dead or unknown deliveries for good; returns how many."""
    dropped = 0
    while part := _part(state, ids, handler):
        numbers = [number for number, _ in part]
        dropped += Delivery.objects.filter(id__in=numbers, state=state)._raw_delete("default")
    return dropped


def _chosen(state: str, handler: str) -> QuerySet[Delivery]:
    found = Delivery.objects.filter(state=state)
    return found.filter(handler=handler) if handler else found


def _part(state: str, ids: Collection[int] | None, handler: str) -> list[tuple[int, uuid.UUID]]:
    chosen = _chosen(state, handler)
    if ids is not None:
        chosen = chosen.filter(id__in=ids)
    return list(chosen.order_by("id").values_list("id", "tenant_id")[:PART])
