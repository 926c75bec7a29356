"""Delivery of outbox entries to the registered handlers.

One entry = one transaction: lock the entry, run the handlers in the tenant's scope, delete the entry. A process that is
killed leaves the entry for the next one, and database effects of handlers happen exactly once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta

import structlog
from django.db import transaction

from apps.core.clock import now
from apps.core.tenancy import tenant_scope
from apps.events.models import Event, OutboxEntry
from apps.events.services.hints import conversation_group, hint_send, queue_group
from apps.events.types import EventRecord

log = structlog.get_logger(__name__)
Handler = Callable[[EventRecord], None]
_handlers: dict[str, list[Handler]] = defaultdict(list)
_late_handlers: dict[str, list[Handler]] = defaultdict(list)
MAX_ATTEMPTS = 10


def on(event_type: str, *, late: bool = False) -> Callable[[Handler], Handler]:
    """Register a handler for an event type. It runs inside the tenant's scope, and may run again after an error.

    `late`: nobody waits for what it does. It runs after all others, whichever app was loaded first.
    """

    def register(handler: Handler) -> Handler:
        (_late_handlers if late else _handlers)[event_type].append(handler)
        return handler

    return register


def handlers_of(event_type: str) -> list[Handler]:
    """Return the handlers registered for a type, in the order in which they run."""
    return _handlers[event_type] + _late_handlers[event_type]


def dispatch_due(*, limit: int = 200) -> int:
    """Deliver up to `limit` due entries in order; returns how many were taken. An error of one never stops the rest.

    Entries that another dispatcher holds are passed over.
    """
    taken = 0
    while taken < limit:
        entry = event = None
        try:
            with transaction.atomic():
                entry = _lock_next()
                if entry is None:
                    break
                taken += 1
                event = _deliver(entry)
        except Exception:
            if entry is None:
                raise
            log.exception("event.handler_failed", event_id=str(entry.event_id), attempts=entry.attempts + 1)
            _put_back(entry)
        if event is not None:
            _hint(event)
    return taken


def _lock_next() -> OutboxEntry | None:
    due = OutboxEntry.objects.filter(state="pending", next_attempt_at__lte=now())
    return due.select_for_update(skip_locked=True).order_by("id").first()


def _deliver(entry: OutboxEntry) -> EventRecord | None:
    """Run the handlers of a locked entry and delete it, in the open transaction."""
    with tenant_scope(entry.tenant_id):
        row = Event.objects.filter(id=entry.event_id).first()
        record = None
        if row is not None:
            record = EventRecord(
                row.id, row.tenant_id, row.type, row.subject_type, row.subject_id, row.data, row.actor, row.created_at
            )
            for handler in handlers_of(row.type):
                handler(record)
        OutboxEntry.objects.filter(id=entry.id).delete()
        return record


def _put_back(entry: OutboxEntry) -> None:
    attempts = entry.attempts + 1
    with transaction.atomic():
        OutboxEntry.objects.filter(id=entry.id).update(
            attempts=attempts,
            state="dead" if attempts >= MAX_ATTEMPTS else "pending",
            next_attempt_at=now() + timedelta(seconds=min(300, 2**attempts)),
        )


def _hint(event: EventRecord) -> None:
    if event.subject_type != "conversation":
        return
    message = {"event": event.type, "conversation_id": str(event.subject_id), "seq": event.data.get("seq")}
    hint_send(conversation_group(event.tenant_id, event.subject_id), message)
    hint_send(queue_group(event.tenant_id), message)
