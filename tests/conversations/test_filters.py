"""The list's filters: labels and intents are followed as they change, and every filter is looked up in an index."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from apps.conversations.models import Contact, Conversation, ConversationTag, Draft, Message
from apps.conversations.selectors import conversations_list
from apps.conversations.services import conversation_update, message_annotate
from apps.conversations.types import Annotation
from apps.core.clock import now
from apps.core.tenancy import tenant_scope
from tests.conversations.conftest import Talk
from tests.superuser import analyse

pytestmark = pytest.mark.django_db


def _label(talk: Talk, *labels: str) -> None:
    changes = {"labels": list(labels)}
    conversation_update(tenant_id=talk.tenant_id, conversation_id=talk.id, changes=changes, actor="test")


def _found(talk: Talk, **asked: Any) -> list[uuid.UUID]:
    return [one.id for one in conversations_list(tenant_id=talk.tenant_id, **asked)[0]]


def _annotate(talk: Talk, intent: str) -> None:
    posted = talk.post("hello")
    found = Annotation("en", "neutral", 0.0, intent)
    message_annotate(tenant_id=talk.tenant_id, message_id=posted.message.id, annotation=found)


def test_a_label_is_found_until_it_is_taken_away(talk: Talk) -> None:
    talk.post()
    _label(talk, "vip", "billing", "vip")
    both = [_found(talk, label=label) for label in ("vip", "billing")]
    _label(talk, "billing", "late")
    assert both == [[talk.id]] * 2
    assert [_found(talk, label=label) for label in ("vip", "billing", "late")] == [[], [talk.id], [talk.id]]
    _label(talk)
    assert [_found(talk, label=label) for label in ("billing", "late")] == [[], []]


def test_an_intent_is_found_while_it_is_one_of_the_newest(talk: Talk) -> None:
    _annotate(talk, "where is my order")
    first = _found(talk, intent="where is my order")
    for number in range(5):
        _annotate(talk, f"intent {number}")
    assert (first, _found(talk, intent="where is my order")) == ([talk.id], [])
    assert _found(talk, intent="intent 4") == [talk.id]


def test_a_label_is_no_intent(talk: Talk) -> None:
    _annotate(talk, "refund")
    assert (_found(talk, label="refund"), _found(talk, intent="refund")) == ([], [talk.id])
    _label(talk, "refund")
    _label(talk)
    assert (_found(talk, label="refund"), _found(talk, intent="refund")) == ([], [talk.id])


def test_filters_are_joined(talk: Talk, talk_of: Callable[[Any], Talk]) -> None:
    other = talk_of(type("Tenant", (), {"id": talk.tenant_id}))
    for one in (talk, other):
        _annotate(one, "refund")
    _label(talk, "vip")
    assert set(_found(talk, intent="refund", language="en")) == {talk.id, other.id}
    assert _found(talk, intent="refund", language="en", label="vip", mood="neutral") == [talk.id]
    assert _found(talk, intent="refund", language="pt", label="vip") == []


def test_a_label_of_another_organisation_finds_nothing(talk: Talk, other_talk: Talk) -> None:
    talk.post()
    other_talk.post()
    _label(talk, "vip")
    assert _found(other_talk, label="vip") == []


# -- indexes ---------------------------------------------------------------------------------------------------------
def _plan(tenant_id: uuid.UUID, **asked: Any) -> str:
    """Return the plan of the list's statement where whole tables are not to be read."""
    seen: list[tuple[str, Any]] = []

    def note(execute: Any, statement: str, params: Any, many: bool, context: Any) -> Any:
        seen.append((statement, params))
        return execute(statement, params, many, context)

    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        with connection.execute_wrapper(note):
            conversations_list(tenant_id=tenant_id, **asked)
        statement, params = next(one for one in seen if 'ORDER BY "conversations_conversation"' in one[0])
        cursor.execute(f"EXPLAIN {statement}", params)
        return "\n".join(line for (line,) in cursor.fetchall())


@pytest.fixture
def many(tenant: Any, inbox: Any) -> uuid.UUID:
    """An organisation with 500 conversations."""
    with tenant_scope(tenant.id):
        contact = Contact.objects.create()
        common = {"tenant_id": tenant.id, "inbox_id": inbox.id, "contact_id": contact.id, "updated_at": now()}
        rows = Conversation.objects.bulk_create(
            Conversation(**common, last_seq=1, mood="neutral", language="en") for _ in range(500)
        )
        ConversationTag.objects.bulk_create(
            ConversationTag(tenant_id=tenant.id, conversation=row, kind=kind, name="common")
            for row in rows
            for kind in ("label", "intent")
        )
    return tenant.id


@pytest.mark.parametrize(
    ("asked", "index", "condition"),
    [
        ({"mood": "negative"}, "conversation_mood", "mood"),
        ({"language": "pt"}, "conversation_language", "language"),
        ({"label": "rare"}, "conversation_tag_once", "name"),
        ({"intent": "rare"}, "conversation_tag_once", "name"),
        ({}, "conversation_recent", "tenant_id"),
    ],
)
def test_a_filter_is_looked_up_in_its_index(many: uuid.UUID, asked: Any, index: str, condition: str) -> None:
    lines = _plan(many, **asked).splitlines()
    at = next((number for number, line in enumerate(lines) if index in line), None)
    assert at is not None, "\n".join(lines)
    assert condition in lines[at + 1]
    assert "Index Cond" in lines[at + 1]


def test_an_external_id_is_looked_up_in_its_index(transactional_db: None, many: uuid.UUID) -> None:
    with tenant_scope(many):
        rows = list(Conversation.objects.all())
        for number, row in enumerate(rows):
            row.external_id = f"ticket-{number}"
        Conversation.objects.bulk_update(rows, ["external_id"])
    analyse("conversations_conversation")
    assert "conversation_external_id" in _plan(many, external_id="ticket-7")


@pytest.mark.parametrize(
    ("rows", "index"),
    [
        (lambda: Message.objects.filter(external_id="<1@x>", external_inbox_id=uuid.uuid4()), "message_external_id"),
        (lambda: Conversation.objects.filter(csat_value__isnull=False).order_by("id"), "conversation_score_kept"),
        (lambda: Draft.objects.filter(judged=False, decided_at__isnull=False).order_by("id"), "draft_not_judged"),
    ],
    ids=["a message by its external id", "scores of before", "drafts of before"],
)
def test_what_is_looked_up_often_is_looked_up_in_an_index(many: uuid.UUID, rows: Any, index: str) -> None:
    with tenant_scope(many), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        assert index in rows()[:10].explain()


def test_an_index_on_the_lists_themselves_would_not_be_used(many: uuid.UUID) -> None:
    """Why labels and intents are rows: below the wall only operators that leak nothing are looked up in an index."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT proname FROM pg_proc WHERE proleakproof AND proname IN ('arraycontains', 'texteq')")
        assert sorted(name for (name,) in cursor.fetchall()) == ["texteq"]
