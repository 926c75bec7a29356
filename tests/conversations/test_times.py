"""When a person first answered, when a conversation was resolved, since when somebody waits: also where an older process
writes, and for what was there before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection

from apps.conversations.models import Conversation, Message
from apps.conversations.selectors import conversation_get
from apps.conversations.services import conversation_handoff, conversation_update, inbox_update
from apps.core.clock import now
from apps.core.tenancy import tenant_scope
from tests.conversations.conftest import Talk
from tests.superuser import superuser

MIGRATION = import_module("apps.conversations.migrations.0013_times_of_before")


def _update(talk: Talk, **changes: Any) -> None:
    conversation_update(tenant_id=talk.tenant_id, conversation_id=talk.id, changes=changes, actor="test")


@pytest.fixture
def services_alone(transactional_db: None) -> Iterator[None]:
    """Without the trigger that does it for older processes."""
    with superuser() as server:
        server.execute("ALTER TABLE conversations_conversation DISABLE TRIGGER conversations_conversation_times")
    yield
    with superuser() as server:
        server.execute("ALTER TABLE conversations_conversation ENABLE TRIGGER conversations_conversation_times")


# -- the services ----------------------------------------------------------------------------------------------------
def test_the_first_public_answer_of_a_person_is_timed(services_alone: None, talk: Talk, member: Any) -> None:
    talk.post()
    talk.post("I look", role="bot")
    talk.post("a note", role="agent", private=True, author_id=member.id)
    before = talk.row.first_response_at
    first = talk.post("hello", role="agent", author_id=member.id).message
    timed = talk.row.first_response_at
    talk.post("more", role="agent", author_id=member.id)
    assert before is None
    assert timed is not None
    assert (talk.row.first_response_at, talk.messages()[3].id) == (timed, first.id)


def test_resolving_is_timed_and_opening_again_takes_the_time_back(services_alone: None, talk: Talk) -> None:
    start = now()
    _update(talk, status="resolved")
    resolved = talk.row.resolved_at
    _update(talk, labels=["vip"])
    kept = talk.row.resolved_at
    _update(talk, status="open")
    assert resolved is not None
    assert start <= resolved <= now()
    assert (kept, talk.row.resolved_at) == (resolved, None)


def test_a_message_of_the_contact_takes_the_time_back(services_alone: None, talk: Talk, member: Any) -> None:
    talk.post("hi", role="agent", author_id=member.id)
    answered = talk.row.first_response_at
    _update(talk, status="resolved")
    talk.post("again")
    assert (talk.row.resolved_at, talk.row.first_response_at) == (None, answered)


def test_handing_over_takes_the_time_back(services_alone: None, talk: Talk) -> None:
    _update(talk, status="resolved")
    conversation_handoff(tenant_id=talk.tenant_id, conversation_id=talk.id, reason="asked", actor="test")
    assert talk.row.resolved_at is None
    assert talk.row.waiting_since is not None


def test_opened_again_by_staff_an_unanswered_contact_waits_anew(tenant: Any, inbox: Any, talk_of: Any) -> None:
    inbox_update(tenant_id=tenant.id, inbox_id=inbox.id, changes={"bot_enabled": False}, actor="test")
    talk = talk_of(tenant)
    talk.post()
    _update(talk, status="resolved")
    resolved = talk.row.waiting_since
    _update(talk, status="pending")
    assert resolved is None
    assert talk.row.waiting_since is not None


def test_opened_again_by_staff_an_answered_contact_does_not_wait(talk: Talk, member: Any) -> None:
    talk.post()
    talk.post("hi", role="agent", author_id=member.id)
    _update(talk, status="resolved")
    _update(talk, status="open")
    assert talk.row.waiting_since is None


def test_the_api_shows_the_times(api: Any, talk: Talk, member: Any) -> None:
    talk.post("hi", role="agent", author_id=member.id)
    changed = api.patch(f"/conversations/{talk.id}", {"status": "resolved"}).json()
    shown = api.get(f"/conversations/{talk.id}").json()
    assert changed["resolved_at"] is not None
    assert shown["first_response_at"].endswith("Z")
    assert shown["resolved_at"] == changed["resolved_at"]


@pytest.mark.parametrize(("length", "status"), [(998, 200), (999, 422)])
def test_a_subject_is_as_long_as_that_of_an_email(api: Any, talk: Talk, length: int, status: int) -> None:
    assert api.patch(f"/conversations/{talk.id}", {"subject": "x" * length}).status_code == status


@pytest.mark.parametrize(("length", "status"), [(255, 201), (256, 422)])
def test_a_contact_has_a_display_name_of_an_email(api: Any, inbox: Any, length: int, status: int) -> None:
    contact = {"name": "x" * length, "email": f"{'a' * 60}@{'b' * 60}.{'c' * 60}.example"}
    assert api.post("/conversations", {"contact": contact}).status_code == status


# -- older processes, and rows of before -----------------------------------------------------------------------------
def _as_an_older_process(talk: Talk, **values: Any) -> None:
    with tenant_scope(talk.tenant_id):
        Conversation.objects.filter(id=talk.id).update(**values)


def test_what_an_older_process_resolves_is_timed(talk: Talk) -> None:
    at = now()
    _as_an_older_process(talk, status="resolved", updated_at=at)
    resolved = talk.row.resolved_at
    _as_an_older_process(talk, status="open")
    assert (resolved, talk.row.resolved_at) == (at, None)


def test_what_an_older_process_answers_is_timed_once(talk: Talk) -> None:
    at = now()
    _as_an_older_process(talk, last_role="agent", last_public_seq=1, last_message_at=at)
    _as_an_older_process(talk, last_role="agent", last_public_seq=2, last_message_at=now())
    assert talk.row.first_response_at == at


def test_an_older_process_that_changes_something_else_times_nothing(talk: Talk) -> None:
    talk.post()
    _as_an_older_process(talk, subject="Order 7")
    assert (talk.row.first_response_at, talk.row.resolved_at) == (None, None)


@pytest.fixture
def fill(monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> Callable[[], None]:
    """What the migration does, two conversations at a time."""
    monkeypatch.setattr(MIGRATION, "AT_ONCE", 2)
    return lambda: MIGRATION.fill(None, SimpleNamespace(connection=connection))


def test_conversations_of_before_get_their_times(
    fill: Any, services_alone: None, talk: Talk, other_talk: Talk, talk_of: Any, tenant: Any
) -> None:
    untouched = [talk_of(tenant) for _ in range(3)]
    for one in (talk, other_talk):
        one.post()
        one.post("note", role="agent", private=True)
        one.post("hi", role="agent")
        one.post("more", role="agent")
        _update(one, status="resolved")
        _as_an_older_process(one, first_response_at=None, resolved_at=None)
    fill()
    for one in (talk, other_talk):
        with tenant_scope(one.tenant_id):
            said = Message.objects.get(conversation_id=one.id, seq=3)
        assert (one.row.first_response_at, one.row.resolved_at) == (said.created_at, one.row.updated_at)
    assert [(one.row.first_response_at, one.row.resolved_at) for one in untouched] == [(None, None)] * 3


def test_times_that_are_known_are_left(fill: Any, talk: Talk) -> None:
    talk.post("hi", role="agent")
    _update(talk, status="resolved")
    before = conversation_get(tenant_id=talk.tenant_id, conversation_id=talk.id)
    _update(talk, labels=["later"])
    fill()
    after = conversation_get(tenant_id=talk.tenant_id, conversation_id=talk.id)
    assert (after.first_response_at, after.resolved_at) == (before.first_response_at, before.resolved_at)
