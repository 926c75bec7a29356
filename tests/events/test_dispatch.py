"""The outbox: every event reaches its handlers, whatever fails on the way."""

from __future__ import annotations

import contextlib
import threading
import uuid
from typing import Any

import pytest

from apps.core.clock import now
from apps.core.tenancy import TenantUnset, current_tenant_id, tenant_scope
from apps.events.models import AuditEntry, Delivery, Event, OutboxEntry
from apps.events.services import audit_record, dispatch_due, event_record, events_forget, handlers_of
from apps.events.types import EventRecord
from tests.at_once import at_once
from tests.events.conftest import TYPE, due, record


def _write(note: str) -> None:
    """A database effect of a handler."""
    audit_record(action=note, actor="test")


def _notes(tenant: Any) -> list[str]:
    with tenant_scope(tenant.id):
        return list(AuditEntry.objects.exclude(action__contains="organization").values_list("action", flat=True))


def test_an_event_reaches_every_handler_once(tenant: Any, handle: Any) -> None:
    seen: list[tuple[str, Any]] = []
    handle(lambda event: seen.append(("first", event.data["n"])))
    handle(lambda event: seen.append(("second", event.data["n"])))
    record(tenant, n=1)
    assert [dispatch_due(), dispatch_due()] == [1, 0]
    assert seen == [("first", 1), ("second", 1)]
    assert OutboxEntry.objects.count() == 0


def test_a_handler_that_nobody_waits_for_runs_last(tenant: Any, handle: Any) -> None:
    seen: list[str] = []
    handle(lambda event: seen.append("in no hurry"), late=True)
    handle(lambda event: seen.append("first"))
    handle(lambda event: seen.append("second"))
    record(tenant)
    dispatch_due()
    assert seen == ["first", "second", "in no hurry"]


def test_the_event_stays_after_delivery(tenant: Any, handle: Any) -> None:
    event_id = record(tenant)
    dispatch_due()
    with tenant_scope(tenant.id):
        assert Event.objects.filter(id=event_id).exists()


def test_events_come_in_order(tenant: Any, handle: Any) -> None:
    seen: list[int] = []
    handle(lambda event: seen.append(event.data["n"]))
    for number in range(20):
        record(tenant, n=number)
    dispatch_due()
    assert seen == list(range(20))


def test_a_handler_runs_in_the_scope_of_the_events_tenant(tenant: Any, other_tenant: Any, handle: Any) -> None:
    seen: list[Any] = []
    handle(lambda event: seen.append((event.tenant_id, current_tenant_id())))
    record(tenant)
    record(other_tenant)
    dispatch_due()
    assert seen == [(tenant.id, tenant.id), (other_tenant.id, other_tenant.id)]


def test_a_rolled_back_change_leaves_no_event(tenant: Any, handle: Any) -> None:
    with contextlib.suppress(ZeroDivisionError), tenant_scope(tenant.id):
        event_record(type=TYPE, subject_type="thing", subject_id=uuid.uuid4())
        raise ZeroDivisionError
    assert OutboxEntry.objects.filter(tenant_id=tenant.id).count() == 0


def test_an_event_outside_a_scope_is_refused(db: None) -> None:
    with pytest.raises(TenantUnset):
        event_record(type=TYPE, subject_type="thing", subject_id=uuid.uuid4())


def test_a_failing_handler_puts_the_event_back(tenant: Any, handle: Any) -> None:
    attempts: list[int] = []

    def fail_once(event: EventRecord) -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise ZeroDivisionError

    handle(fail_once)
    record(tenant)
    dispatch_due()
    waiting = Delivery.objects.get()
    assert (waiting.attempts, waiting.state, waiting.next_attempt_at > now()) == (1, "pending", True)
    due()
    dispatch_due()
    assert len(attempts) == 2
    assert Delivery.objects.count() == 0


def test_a_failing_handler_undoes_what_it_wrote_itself(tenant: Any, handle: Any) -> None:
    failures = [ZeroDivisionError()]

    def fail_once(event: EventRecord) -> None:
        _write("effect")
        if failures:
            raise failures.pop()

    handle(fail_once)
    record(tenant)
    dispatch_due()
    before = _notes(tenant)
    due()
    dispatch_due()
    assert (before, _notes(tenant)) == ([], ["effect"])


def test_a_failing_event_does_not_stop_the_others(tenant: Any, handle: Any) -> None:
    seen: list[int] = []

    def handler(event: EventRecord) -> None:
        if event.data["n"] == 1:
            raise ZeroDivisionError
        seen.append(event.data["n"])

    handle(handler)
    for number in range(3):
        record(tenant, n=number)
    dispatch_due()
    assert seen == [0, 2]


def test_after_ten_attempts_a_delivery_is_dead_and_kept(tenant: Any, handle: Any) -> None:
    def fail(event: EventRecord) -> None:
        raise ZeroDivisionError

    handle(fail)
    record(tenant)
    for _ in range(12):
        dispatch_due()
        due()
    entry = Delivery.objects.get()
    assert (entry.state, entry.attempts, entry.error) == ("dead", 10, "ZeroDivisionError")


def test_the_wait_between_attempts_grows_to_five_minutes(tenant: Any, handle: Any) -> None:
    def fail(event: EventRecord) -> None:
        raise ZeroDivisionError

    handle(fail)
    record(tenant)
    waits = []
    for _ in range(9):
        dispatch_due()
        waits.append(round((Delivery.objects.get().next_attempt_at - now()).total_seconds()))
        due()
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300]


def test_two_dispatchers_deliver_each_event_once(transactional_db: None, tenant: Any, handle: Any) -> None:
    seen: list[int] = []
    lock = threading.Lock()

    def handler(event: EventRecord) -> None:
        _write(f"n{event.data['n']}")
        with lock:
            seen.append(event.data["n"])

    handle(handler)
    for number in range(60):
        record(tenant, n=number)
    at_once([dispatch_due] * 3)
    dispatch_due()
    assert sorted(seen) == list(range(60))
    assert sorted(_notes(tenant)) == sorted(f"n{number}" for number in range(60))
    assert OutboxEntry.objects.count() == 0


def test_a_delivery_that_another_holds_is_passed_over(transactional_db: None, tenant: Any, handle: Any) -> None:
    """A slow handler elsewhere: nobody waits for its row, nobody delivers it twice, those behind it are delivered."""
    entered, leave = threading.Event(), threading.Event()
    seen: list[int] = []

    def slow(event: EventRecord) -> None:
        if event.data["n"] == 0:
            entered.set()
            leave.wait(20)
        seen.append(event.data["n"])

    handle(slow)
    for number in range(3):
        record(tenant, n=number)

    def other() -> int:
        entered.wait(20)
        Delivery.objects.exclude(id=Delivery.objects.earliest("id").id).update(next_attempt_at=now())
        taken = dispatch_due()
        leave.set()
        return taken

    assert at_once([dispatch_due, other]) == [3, 2]
    assert seen == [1, 2, 0]
    assert Delivery.objects.count() == 0


def test_a_handler_killed_before_the_end_is_delivered_again(transactional_db: None, tenant: Any, handle: Any) -> None:
    """At least once: what a dead process did not finish, the next one does, with effects once."""
    deaths = [SystemExit()]

    def dies_once(event: EventRecord) -> None:
        _write("effect")
        if deaths:
            raise deaths.pop()

    handle(dies_once)
    record(tenant)
    with pytest.raises(SystemExit):
        dispatch_due()
    due()
    dispatch_due()
    assert _notes(tenant) == ["effect"]


def test_a_lost_hint_loses_nothing(tenant: Any, handle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr("apps.events.services.hints.get_channel_layer", away)
    with tenant_scope(tenant.id):
        event_record(type=TYPE, subject_type="conversation", subject_id=uuid.uuid4())
    assert dispatch_due() == 1
    assert OutboxEntry.objects.count() == 0


def test_forgetting_an_organisation_takes_its_events_only(tenant: Any, other_tenant: Any, handle: Any) -> None:
    for _ in range(3):
        record(tenant)
    kept = record(other_tenant)
    with tenant_scope(tenant.id):
        forgotten = [events_forget(most=2) for _ in range(3)]
    assert forgotten == [2, 1, 0]
    assert list(OutboxEntry.objects.values_list("event_id", flat=True)) == [kept]
    with tenant_scope(other_tenant.id):
        assert list(Event.objects.values_list("id", flat=True)) == [kept]


def test_the_events_of_the_contract_have_handlers() -> None:
    """What the bot lives on; a renamed event would be silent otherwise."""
    types = ["message.created", "conversation.updated", "reply.ended", "draft.requested"]
    assert [bool(handlers_of(type)) for type in types] == [True] * 4
