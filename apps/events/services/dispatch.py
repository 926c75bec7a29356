"""From the outbox to the handlers: one delivery for each event and handler.

A round has two steps. **Parting**: outbox entries become deliveries, one for each handler, in one transaction for many
entries. **Delivering**: each delivery is a transaction of its own, which locks it, runs its handler in the organisation's
scope and deletes it, so a handler's rows are written exactly once, and what one handler does is nothing to another.

Attempts are counted when they begin: parting counts the first, for what this process delivers next. A handler that
raises, and a process that is killed, leave a delivery that is due again after a growing wait, and dead after ten.

What is promised of the order: first attempts of one subject (a conversation) and handler come in the order in which the
events were written, with several dispatchers too. One that failed is tried later, and those behind it do not wait:
handlers look at how things are now. Late handlers are attempted after all others of their event.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models import F

from apps.core.clock import now
from apps.core.tenancy import tenant_scope
from apps.events.models import Delivery, Event, OutboxEntry
from apps.events.services.hints import conversation_group, hint_send, queue_group
from apps.events.services.registry import event_known, handler_named, handler_names, names_known
from apps.events.types import EventRecord

log = structlog.get_logger(__name__)
MAX_ATTEMPTS = 10
MAX_WAIT_S = 300
# Entries that are parted at a time: what a killed process had begun of them is due again after CLAIM_S, so they are few.
PARTED = 25
# A begun first attempt is this process's for so long. Handlers are short; past it others may take the delivery.
CLAIM_S = 5
# How soon a delivery that is not in its turn yet is looked at again.
TURN_S = 0.2
# What this code does not know is looked at again so often: newer code may have come.
LOOK_AGAIN_S = 60
# One dispatcher parts at a time: deliveries get their numbers in the order of the outbox.
_PARTING_LOCK = 7_341_902_211
_looked_at = -float(LOOK_AGAIN_S)


@dataclass(frozen=True, slots=True)
class _Claim:
    """A delivery whose attempt has begun."""

    id: int
    tenant_id: uuid.UUID
    attempts: int


def dispatch_due(*, limit: int = 200) -> int:
    """Part and deliver up to `limit` entries of the outbox, and try again up to `limit` deliveries that are due.

    Returns how many entries were parted and how many deliveries were tried again. An error of one never stops the rest.
    What another dispatcher holds is passed over.
    """
    _look_again()
    parted = 0
    while parted < limit:
        taken, events, claims = _part(min(PARTED, limit - parted))
        for event in events:
            _hint(event)
        for claim in claims:
            _attempt(claim)
        parted += taken
        if not taken:
            break
    return parted + _try_again(limit)


# -- parting ---------------------------------------------------------------------------------------------------------
def _part(most: int) -> tuple[int, list[EventRecord], list[_Claim]]:
    """Turn the next outbox entries into deliveries whose first attempt has begun; returns how many entries were taken,
    the events, and what this process delivers next, in order."""
    events: list[EventRecord] = []
    made: list[Delivery] = []
    with transaction.atomic():
        _lazily()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_PARTING_LOCK])
            if not cursor.fetchone()[0]:
                return 0, [], []
        due = OutboxEntry.objects.filter(state="pending", next_attempt_at__lte=now()).order_by("id")
        entries = list(due.select_for_update(skip_locked=True)[:most])
        found = _events_of(entries)
        done = []
        for entry in entries:
            event = found.get(entry.event_id)
            if event is not None:
                names = _names(event)
                if names is None:
                    continue
                events.append(_record_of(event))
                made += _deliveries(event, names)
            done.append(entry.id)
        Delivery.objects.bulk_create(made, ignore_conflicts=True)
        OutboxEntry.objects.filter(id__in=done).delete()
        kept = [entry.id for entry in entries if entry.id not in done]
        OutboxEntry.objects.filter(id__in=kept).update(
            state="unknown", next_attempt_at=now() + timedelta(seconds=LOOK_AGAIN_S)
        )
        mine = [one.event_id for one in made if one.state == Delivery.State.PENDING]
        rows = Delivery.objects.filter(event_id__in=mine, state="pending", attempts=1).order_by("id")
        claims = [_Claim(row.id, row.tenant_id, row.attempts) for row in rows]
    if kept:
        log.warning("event.type_unknown", kept=len(kept))
    return len(entries), events, claims


def _events_of(entries: list[OutboxEntry]) -> dict[uuid.UUID, Event]:
    """The events of entries, read in the scope of each organisation among them."""
    wanted: dict[uuid.UUID, list[uuid.UUID]] = defaultdict(list)
    for entry in entries:
        wanted[entry.tenant_id].append(entry.event_id)
    found: dict[uuid.UUID, Event] = {}
    for tenant_id, ids in wanted.items():
        with tenant_scope(tenant_id):
            found |= {event.id: event for event in Event.objects.filter(id__in=ids)}
    return found


def _names(event: Event) -> list[str] | None:
    """Names of the handlers of an event, those of this code and those that its writer knew; None for an unknown type."""
    own = handler_names(event.type)
    told = [name for name in event.handlers or [] if name not in own]
    return own + told if told or event_known(event.type) else None


def _deliveries(event: Event, names: list[str]) -> list[Delivery]:
    made = []
    for name in names:
        known = handler_named(event.type, name) is not None
        made.append(
            Delivery(
                tenant_id=event.tenant_id,
                event_id=event.id,
                subject_id=event.subject_id,
                handler=name,
                state=Delivery.State.PENDING if known else Delivery.State.UNKNOWN,
                attempts=int(known),
                next_attempt_at=now() + timedelta(seconds=CLAIM_S),
                created_at=now(),
            )
        )
    return made


def _look_again() -> None:
    """Take up again what was kept for newer code, now and then: this may be it."""
    global _looked_at
    if time.monotonic() - _looked_at < LOOK_AGAIN_S:
        return
    _looked_at = time.monotonic()
    OutboxEntry.objects.filter(state="unknown", next_attempt_at__lte=now()).update(state="pending")
    known = Delivery.objects.filter(state=Delivery.State.UNKNOWN, handler__in=names_known())
    known.update(state=Delivery.State.PENDING, next_attempt_at=now())


# -- delivering ------------------------------------------------------------------------------------------------------
# `waits`: an earlier event's first attempt for the same subject and handler has not ended.
_LOCKED = """
SELECT d.handler, EXISTS (
  SELECT 1 FROM events_delivery p WHERE p.subject_id = d.subject_id AND p.handler = d.handler AND p.state = 'pending'
  AND p.id < d.id AND p.attempts <= 1 AND p.error = '' AND p.next_attempt_at > now()
) AS waits, e.id, e.tenant_id, e.type, e.subject_type, e.subject_id, e.data, e.actor, e.created_at
FROM events_delivery d LEFT JOIN events_event e ON e.id = d.event_id
WHERE d.id = %s AND d.state = 'pending' AND d.attempts = %s FOR UPDATE OF d SKIP LOCKED
"""


def _attempt(claim: _Claim) -> None:
    """Run the handler of a begun delivery. What it raises is logged, and puts the delivery off."""
    try:
        with tenant_scope(claim.tenant_id):
            _lazily()
            with connection.cursor() as cursor:
                cursor.execute(_LOCKED, [claim.id, claim.attempts])
                row = cursor.fetchone()
            if row is None:  # somebody else's now
                return
            name, waits, event = row[0], row[1], row[2:]
            if waits and claim.attempts == 1:
                _wait_for_turn(claim)
                return
            if event[0] is not None:  # an event that was removed meanwhile has nothing to tell
                _run(_as_record(event), name)
            Delivery.objects.filter(id=claim.id)._raw_delete("default")
    except Exception as error:  # noqa: BLE001  (whatever a handler raises is its own: it is tried again)
        _put_off(claim, error)


def _wait_for_turn(claim: _Claim) -> None:
    """Another dispatcher is at the event before this one: the attempt has not begun after all."""
    soon = now() + timedelta(seconds=TURN_S)
    Delivery.objects.filter(id=claim.id).update(attempts=0, next_attempt_at=soon)


def _run(event: EventRecord, name: str) -> None:
    handle = handler_named(event.type, name)
    if handle is None:
        raise LookupError(name)
    handle(event)


def _put_off(claim: _Claim, error: Exception) -> None:
    dead = claim.attempts >= MAX_ATTEMPTS
    log.exception("event.delivery_dead" if dead else "event.handler_failed", delivery=claim.id, attempts=claim.attempts)
    with transaction.atomic():
        Delivery.objects.filter(id=claim.id, attempts=claim.attempts).update(
            state=Delivery.State.DEAD if dead else Delivery.State.PENDING,
            next_attempt_at=now() + timedelta(seconds=wait_s(claim.attempts)),
            error=type(error).__name__[:64],
        )


def wait_s(attempts: int) -> int:
    """Return the seconds from the end of an attempt to the next one."""
    return min(MAX_WAIT_S, 2**attempts)


def _try_again(limit: int) -> int:
    """Begin again what failed or what a killed process had begun, one at a time; returns how many were due."""
    tried = 0
    known = names_known()
    while tried < limit:
        with transaction.atomic():
            due = Delivery.objects.filter(state=Delivery.State.PENDING, next_attempt_at__lte=now(), handler__in=known)
            row = due.select_for_update(skip_locked=True).order_by("next_attempt_at", "id").first()
            if row is None:
                break
            tried += 1
            if row.attempts >= MAX_ATTEMPTS:  # begun ten times, and none of them ended: it ends its process
                log.error("event.delivery_dead", delivery=row.id, attempts=row.attempts)
                Delivery.objects.filter(id=row.id).update(state=Delivery.State.DEAD, error="ProcessEnded")
                continue
            wait = max(CLAIM_S, wait_s(row.attempts + 1))  # if this process ends in the middle
            Delivery.objects.filter(id=row.id).update(
                attempts=F("attempts") + 1, next_attempt_at=now() + timedelta(seconds=wait)
            )
        _attempt(_Claim(row.id, row.tenant_id, row.attempts + 1))
    return tried


def _lazily() -> None:
    """Let the open transaction be acknowledged before it is on disk. After a crash of the database either all of it is
    there or nothing, and then its entry or delivery is still there too and is taken again."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit TO off")


# -- hints -----------------------------------------------------------------------------------------------------------
def _as_record(row: tuple[Any, ...]) -> EventRecord:
    id, tenant_id, type, subject_type, subject_id, data, actor, created_at = row
    return EventRecord(id, tenant_id, type, subject_type, subject_id, json.loads(data), actor, created_at)


def _record_of(event: Event) -> EventRecord:
    return EventRecord(
        event.id,
        event.tenant_id,
        event.type,
        event.subject_type,
        event.subject_id,
        event.data,
        event.actor,
        event.created_at,
    )


def _hint(event: EventRecord) -> None:
    """Tell the sockets once for each event, whatever its handlers do: what they look at is committed."""
    if event.subject_type != "conversation":
        return
    message = {"event": event.type, "conversation_id": str(event.subject_id), "seq": event.data.get("seq")}
    hint_send(conversation_group(event.tenant_id, event.subject_id), message)
    hint_send(queue_group(event.tenant_id), message)
