"""One delivery for each event and handler: no handler is at another's mercy, and nothing that is unknown is dropped."""

from __future__ import annotations

import ast
import contextlib
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.core.tenancy import tenant_scope
from apps.events.models import Delivery, Event, OutboxEntry
from apps.events.selectors import deliveries_depth
from apps.events.services import NOTIFY_CHANNEL, dispatch_due, event_declare, on, registry
from apps.events.services import dispatch as dispatch_module
from apps.events.services.registry import event_known
from apps.events.types import EventRecord
from tests.at_once import at_once
from tests.events.conftest import TYPE, due, record


def _fail(event: EventRecord) -> None:
    raise ZeroDivisionError


def _look_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch_module, "_looked_at", -float(dispatch_module.LOOK_AGAIN_S))
    due()


# -- no handler is at another's mercy --------------------------------------------------------------------------------
def test_a_failing_handler_keeps_nothing_from_the_others(tenant: Any, handle: Any) -> None:
    seen: list[str] = []
    handle(lambda event: seen.append("before"))
    handle(_fail)
    handle(lambda event: seen.append("after"))
    handle(lambda event: seen.append("late"), late=True)
    record(tenant)
    dispatch_due()
    assert seen == ["before", "after", "late"]
    assert list(Delivery.objects.values_list("handler", "attempts")) == [("test.handler_2", 1)]


def test_a_handler_that_is_tried_again_runs_alone(tenant: Any, handle: Any) -> None:
    seen: list[str] = []
    handle(lambda event: seen.append("well"))
    handle(_fail)
    record(tenant)
    dispatch_due()
    due()
    dispatch_due()
    assert (seen, Delivery.objects.get().attempts) == (["well"], 2)


def test_a_late_handler_that_always_fails_leaves_the_bot_its_answers(
    tenant: Any, inbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What analytics breaks is analytics."""
    from apps.assistant.models import Reply
    from apps.conversations.services import conversation_create, message_post

    monkeypatch.setattr("apps.jobs.services.enqueue.broker_hint", lambda *_: None)
    monkeypatch.setattr("apps.insights.handlers.message_read_later", lambda **_: _fail(None))  # type: ignore[arg-type]
    talk = conversation_create(tenant_id=tenant.id, contact={}).id
    message_post(tenant_id=tenant.id, conversation_id=talk, role="contact", text="When do you open?")
    dispatch_due()
    with tenant_scope(tenant.id):
        assert Reply.objects.filter(conversation_id=talk).count() == 1
    assert list(Delivery.objects.values_list("handler", flat=True)) == ["analysis.message_read"]


def test_a_handler_that_breaks_its_transaction_breaks_no_other(tenant: Any, handle: Any) -> None:
    def wrong(event: EventRecord) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")

    seen: list[int] = []
    handle(wrong)
    handle(lambda event: seen.append(Event.objects.count()))
    record(tenant)
    dispatch_due()
    assert (len(seen), Delivery.objects.get().error) == (1, "DataError")


def test_a_handler_that_ends_its_process_is_counted_and_dies(tenant: Any, handle: Any) -> None:
    """It would be begun again for ever otherwise, with everything behind it."""
    begun: list[int] = []

    def ends(event: EventRecord) -> None:
        begun.append(1)
        raise SystemExit

    handle(ends)
    record(tenant)
    for _ in range(dispatch_module.MAX_ATTEMPTS):
        with pytest.raises(SystemExit):
            dispatch_due()
        due()
    dispatch_due()
    found = Delivery.objects.get()
    assert (len(begun), found.state, found.error) == (dispatch_module.MAX_ATTEMPTS, "dead", "ProcessEnded")


def test_what_a_killed_process_had_before_it_is_delivered_by_the_next(tenant: Any, handle: Any) -> None:
    seen: list[int] = []

    def handler(event: EventRecord) -> None:
        if event.data["n"] == 1 and 1 not in seen:
            seen.append(1)
            raise SystemExit
        seen.append(event.data["n"])

    handle(handler)
    for number in range(4):
        record(tenant, n=number)
    with pytest.raises(SystemExit):
        dispatch_due()
    due()
    dispatch_due()
    assert (seen, Delivery.objects.count()) == ([0, 1, 1, 2, 3], 0)


# -- order -----------------------------------------------------------------------------------------------------------
def test_two_dispatchers_keep_the_order_of_a_conversation(transactional_db: None, tenant: Any, handle: Any) -> None:
    """The second one does not begin the next event of a conversation while the first is at the one before it."""
    entered, leave = threading.Event(), threading.Event()
    seen: list[int] = []
    subject = uuid.uuid4()

    def slow(event: EventRecord) -> None:
        if event.data["n"] == 0:
            entered.set()
            leave.wait(20)
        seen.append(event.data["n"])

    handle(slow)
    record(tenant, subject, n=0)

    def other() -> int:
        entered.wait(20)
        record(tenant, subject, n=1)
        record(tenant, uuid.uuid4(), n=2)
        taken = dispatch_due()
        leave.set()
        return taken

    assert at_once([dispatch_due, other]) == [1, 2]
    assert (seen, Delivery.objects.get().attempts) == ([2, 0], 0)
    due()
    dispatch_due()
    assert seen == [2, 0, 1]


def test_those_behind_a_failed_delivery_do_not_wait_for_it(tenant: Any, handle: Any) -> None:
    seen: list[int] = []
    subject = uuid.uuid4()
    handle(lambda event: seen.append(event.data["n"]) if event.data["n"] else _fail(event))
    for number in range(3):
        record(tenant, subject, n=number)
    dispatch_due()
    assert seen == [1, 2]


# -- old and new code together ---------------------------------------------------------------------------------------
def test_a_handler_of_a_newer_version_is_kept_until_its_code_is_here(
    tenant: Any, handle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old dispatcher, new web: the event names a handler that this process does not have."""
    seen: list[str] = []
    handle(lambda event: seen.append("old"))
    on(TYPE, name="test.newer")(lambda event: seen.append("new"))
    record(tenant)
    newer = registry._handlers[TYPE].pop("test.newer")
    for _ in range(3):
        dispatch_due()
        _look_again(monkeypatch)
    assert (seen, list(Delivery.objects.values_list("handler", "state", "attempts"))) == (
        ["old"],
        [("test.newer", "unknown", 0)],
    )
    registry._handlers[TYPE]["test.newer"] = newer
    dispatch_due()
    assert (seen, Delivery.objects.count()) == (["old", "new"], 0)


def test_an_event_of_a_newer_type_is_kept_until_its_code_is_here(
    tenant: Any, handle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tenant, type="test.unheard_of")
    for _ in range(3):
        dispatch_due()
        _look_again(monkeypatch)
    assert list(OutboxEntry.objects.filter(state="unknown").values_list("attempts", flat=True)) == [0]
    seen: list[str] = []
    monkeypatch.setitem(registry._handlers, "test.unheard_of", {})
    on("test.unheard_of", name="test.at_last")(lambda event: seen.append(event.type))
    _look_again(monkeypatch)
    dispatch_due()
    assert (seen, OutboxEntry.objects.filter(state="unknown").count()) == (["test.unheard_of"], 0)


def test_an_event_of_an_older_version_reaches_the_handlers_of_this_one(tenant: Any, handle: Any) -> None:
    """New dispatcher, old web: nothing names the handlers."""
    seen: list[str] = []
    handle(lambda event: seen.append("first"))
    handle(lambda event: seen.append("second"))
    event_id = record(tenant)
    with tenant_scope(tenant.id):
        Event.objects.filter(id=event_id).update(handlers=None)
    dispatch_due()
    assert seen == ["first", "second"]


def test_the_rows_of_an_older_version_are_still_taken(tenant: Any, handle: Any) -> None:
    """An old process names the columns that it knows, and no others."""
    seen: list[str] = []
    handle(lambda event: seen.append(event.type))
    event_id = uuid.uuid4()
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_event (id, tenant_id, type, subject_type, subject_id, data, actor, created_at)"
            " VALUES (%s, %s, %s, 'thing', %s, '{}', '', now())",
            [event_id, tenant.id, TYPE, uuid.uuid4()],
        )
        cursor.execute(
            "INSERT INTO events_outboxentry (tenant_id, event_id, attempts, state, next_attempt_at)"
            " VALUES (%s, %s, 3, 'pending', now())",
            [tenant.id, event_id],
        )
    dispatch_due()
    assert seen == [TYPE]


def test_a_scope_sees_its_own_deliveries_alone(tenant: Any, other_tenant: Any, handle: Any) -> None:
    handle(_fail)
    record(tenant)
    record(other_tenant)
    dispatch_due()
    with tenant_scope(tenant.id):
        inside = list(Delivery.objects.values_list("tenant_id", flat=True))
    assert (inside, Delivery.objects.count()) == ([tenant.id], 2)


# -- names -----------------------------------------------------------------------------------------------------------
def test_a_name_belongs_to_one_handler(handle: Any) -> None:
    handle(_fail, name="test.taken")
    with pytest.raises(ValueError, match=r"test\.taken already"):
        handle(_fail, name="test.taken")


@pytest.mark.parametrize("name", ["", "no_app", "Test.upper", "test.two words", f"test.{'x' * 60}"])
def test_what_is_no_name_is_refused(handle: Any, name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        handle(_fail, name=name)


def test_every_type_that_is_recorded_is_handled_or_declared() -> None:
    """One that is neither would be kept as something of a newer version."""
    written = set()
    for path in Path(__file__).resolve().parents[2].glob("apps/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "event_record":
                written |= {word.value.value for word in node.keywords if word.arg == "type"}  # type: ignore[attr-defined]
    assert "message.created" in written
    assert {type for type in written if not event_known(type)} == set()


def test_a_declared_type_is_delivered_to_nobody(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_handlers", dict(registry._handlers))
    event_declare("test.declared")
    record(tenant, type="test.declared")
    assert dispatch_due() >= 1
    assert (OutboxEntry.objects.count(), Delivery.objects.count()) == (0, 0)


# -- hints -----------------------------------------------------------------------------------------------------------
def test_an_event_is_hinted_at_once_whatever_its_handlers_do(
    tenant: Any, handle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hints: list[str] = []
    monkeypatch.setattr(dispatch_module, "hint_send", lambda group, message: hints.append(message["event"]))
    handle(lambda event: None)
    handle(_fail)
    with tenant_scope(tenant.id):
        from apps.events.services import event_record

        event_record(type=TYPE, subject_type="conversation", subject_id=uuid.uuid4())
    for _ in range(3):
        dispatch_due()
        due()
    assert hints == [TYPE, TYPE]  # to the conversation and to the queue


# -- waking the dispatcher -------------------------------------------------------------------------------------------
@pytest.fixture
def notified(transactional_db: None) -> Iterator[Callable[[], int]]:
    """How many notifications have come since the last look."""
    found = connection.get_connection_params()
    wanted = {name: found[name] for name in ("dbname", "user", "password", "host", "port")}
    with psycopg.connect(**wanted, autocommit=True) as listener:
        listener.execute(f"LISTEN {NOTIFY_CHANNEL}")
        yield lambda: len(list(listener.notifies(timeout=0.5)))


def test_the_dispatcher_is_woken_once_for_a_transaction_after_it(
    tenant: Any, handle: Any, notified: Callable[[], int]
) -> None:
    notified()
    with CaptureQueriesContext(connection) as inside, tenant_scope(tenant.id):
        for _ in range(3):
            record(tenant)
        before = [query["sql"] for query in inside.captured_queries if "NOTIFY" in query["sql"]]
        early = notified()
    assert (before, early, notified()) == ([], 0, 1)


def test_a_change_that_is_rolled_back_wakes_nobody(tenant: Any, handle: Any, notified: Callable[[], int]) -> None:
    notified()
    with contextlib.suppress(ZeroDivisionError), tenant_scope(tenant.id):
        record(tenant)
        raise ZeroDivisionError
    assert notified() == 0


# -- for operators ---------------------------------------------------------------------------------------------------
@pytest.fixture
def dead(tenant: Any, handle: Any) -> list[str]:
    """A dead delivery; what its handler will have seen once it works."""
    seen: list[str] = []
    broken = [True]
    handle(lambda event: _fail(event) if broken else seen.append(event.type))
    record(tenant)
    for _ in range(dispatch_module.MAX_ATTEMPTS + 1):
        dispatch_due()
        due()
    broken.clear()
    return seen


def test_dead_deliveries_are_counted(dead: list[str]) -> None:
    assert deliveries_depth() == {("test.handler_1", "dead"): 1}


def test_dead_deliveries_are_listed(dead: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("deliveries", "list", "--json")
    (found,) = json.loads(capsys.readouterr().out)
    assert ended.value.code == 1
    assert (found["handler"], found["event_type"], found["error"]) == ("test.handler_1", TYPE, "ZeroDivisionError")


def test_a_dead_delivery_is_tried_again_when_somebody_says_so(
    dead: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("deliveries", "retry", "--handler", "test.handler_1")
    dispatch_due()
    assert (capsys.readouterr().out, dead, Delivery.objects.count()) == ("1 retried\n", [TYPE], 0)


def test_entries_that_died_in_an_older_version_are_tried_again_with_all(tenant: Any, handle: Any) -> None:
    seen: list[str] = []
    handle(lambda event: seen.append(event.type))
    record(tenant)
    OutboxEntry.objects.update(state="dead", attempts=10)
    call_command("deliveries", "retry", "--all")
    dispatch_due()
    assert TYPE in seen


def test_dropping_takes_what_was_named_and_nothing_else(dead: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("deliveries", "drop", str(Delivery.objects.get().id + 1))
    call_command("deliveries", "drop", "--all", "--state", "unknown")
    kept = Delivery.objects.count()
    call_command("deliveries", "drop", str(Delivery.objects.get().id))
    assert (kept, Delivery.objects.count(), capsys.readouterr().out) == (1, 0, "0 dropped\n0 dropped\n1 dropped\n")


@pytest.mark.parametrize(
    "words", [["retry"], ["drop"], ["retry", "1", "--all"], ["drop", "--all", "--state", "pending"]]
)
def test_the_command_wants_to_know_which(db: None, words: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("deliveries", *words)


def test_a_delivery_is_acknowledged_before_it_is_on_disk_and_its_transaction_alone(
    transactional_db: None, tenant: Any, handle: Any
) -> None:
    """What is lost in a crash of the database is the delivery with its effects, and it is begun again."""

    def setting() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            return str(cursor.fetchone()[0])

    seen: list[str] = []
    handle(lambda event: seen.append(setting()))
    record(tenant)
    dispatch_due()
    with transaction.atomic():
        assert (seen, setting()) == (["off"], "on")
