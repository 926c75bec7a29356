"""The search for conversations by words: what it finds, when, for whom, and that it is looked up in an index."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from apps.conversations import search
from apps.conversations.models import Contact, ContactTerm, Conversation, ConversationTerm, Message
from apps.conversations.selectors import conversations_list
from apps.conversations.services import conversation_update, terms_follow
from apps.conversations.services.contacts import contact_told
from apps.conversations.types import Identity
from apps.core.ids import new_id
from apps.core.tenancy import tenant_scope
from tests.conversations.conftest import Talk
from tests.superuser import analyse

pytestmark = pytest.mark.django_db


def _found(talk: Talk, q: str, **asked: Any) -> list[uuid.UUID]:
    return [one.id for one in conversations_list(tenant_id=talk.tenant_id, q=q, **asked)[0]]


def _terms(talk: Talk) -> set[str]:
    with tenant_scope(talk.tenant_id):
        return set(ConversationTerm.objects.filter(conversation_id=talk.id).values_list("term", flat=True))


def _another(talk: Talk, talk_of: Callable[[Any], Talk]) -> Talk:
    return talk_of(type("Tenant", (), {"id": talk.tenant_id}))


@pytest.fixture(params=[search.FEW, 0], ids=["few say it", "many say it"])
def either_way(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rare words and frequent ones are looked up differently, and find the same."""
    monkeypatch.setattr(search, "FEW", request.param)


@pytest.mark.usefixtures("either_way")
def test_all_words_are_found_wherever_in_the_conversation_they_are(talk: Talk, talk_of: Callable[[Any], Talk]) -> None:
    other = _another(talk, talk_of)
    talk.post("Where is my parcel 12345?")
    talk.post("It was sent to the Café.", role="agent")
    talk.post("He asks for a refund.", role="agent", private=True)
    other.post("Another parcel")
    assert _found(talk, "parcel") == [other.id, talk.id]
    said = ("parcel 123", "cafe PARCEL", "refund parcel where", "ada refund", "ada 12345")
    assert [_found(talk, query) for query in said] == [[talk.id]] * 5
    assert [_found(talk, query) for query in ("parcel tile", "refund another", "arcel", "?!", "%")] == [[]] * 5
    assert set(_found(talk, "ada")) == {talk.id, other.id}


@pytest.mark.usefixtures("either_way")
def test_a_search_is_joined_with_filters_and_paged(talk: Talk, talk_of: Callable[[Any], Talk]) -> None:
    talks = [_another(talk, talk_of) for _ in range(5)]
    for one in talks:
        one.post("the same words")
    changes = {"labels": ["vip"]}
    conversation_update(tenant_id=talk.tenant_id, conversation_id=talks[2].id, changes=changes, actor="test")
    assert _found(talk, "same wor", label="vip") == [talks[2].id]
    asked = {"tenant_id": talk.tenant_id, "q": "words same", "limit": 2}
    found, cursor = [], ""
    for _ in range(3):
        page, following = conversations_list(**asked, cursor=cursor)
        found += [one.id for one in page]
        cursor = following or ""
    wanted = [talks[2].id, *(one.id for one in reversed(talks) if one is not talks[2])]
    assert (found, cursor) == (wanted, "")


@pytest.mark.usefixtures("either_way")
def test_words_of_another_organisation_find_nothing(talk: Talk, other_talk: Talk) -> None:
    talk.post("gramophone")
    other_talk.post("hello")
    assert (_found(other_talk, "gramophone"), _found(other_talk, "ada")) == ([], [other_talk.id])


def test_a_message_is_found_as_soon_as_it_is_written(talk: Talk) -> None:
    talk.post("first gramophone")
    first = (_found(talk, "gramophone"), talk.row.terms_seq)
    talk.post("and a turntable", role="agent")
    assert (first, _found(talk, "turntable"), talk.row.terms_seq) == (([talk.id], 1), [talk.id], 2)


def test_a_contact_is_found_by_its_name_and_address_of_now(talk: Talk) -> None:
    talk.post("hello")
    contact_id = talk.row.contact_id
    said = Identity(id="u1", name="Zoë Müller", email="zoe.m@example.com")
    with tenant_scope(talk.tenant_id):
        contact_told(contact_id, said)
    assert [_found(talk, q) for q in ("zoe", "Muller", "zoe.m@example.com", "ada")] == [[talk.id]] * 3 + [[]]
    with tenant_scope(talk.tenant_id):
        assert Contact.objects.get(id=contact_id).termed


# -- what a process of before writes ---------------------------------------------------------------------------------
def _as_before(talk: Talk, *texts: str) -> None:
    """Write messages as the version before does: without terms."""
    with tenant_scope(talk.tenant_id):
        row = Conversation.objects.get(id=talk.id)
        for text in texts:
            row.last_seq += 1
            Message.objects.create(
                conversation=row, seq=row.last_seq, prev_public_seq=row.last_seq - 1, role="contact", text=text
            )
        row.save(update_fields=["last_seq"])
        Contact.objects.filter(id=row.contact_id).update(name="Grace Hopper")


def test_what_has_no_terms_yet_is_found_and_gets_them(talk: Talk, other_talk: Talk) -> None:
    talk.post("of now")
    _as_before(talk, "a gramophone", "and a turntable")
    talk.post("of now, waits with those before it")
    _as_before(other_talk, "a gramophone")
    queries = ("gramophone", "waits with", "grace", "gramophone")
    before = [_found(one, q) for one in (talk, other_talk) for q in queries[:1]]
    assert before == [[talk.id], [other_talk.id]]
    assert (_found(talk, "waits with"), _found(talk, "grace hop"), talk.row.terms_seq) == ([talk.id], [talk.id], 1)
    assert terms_follow() == 4  # two conversations, two contacts
    assert (talk.row.terms_seq, other_talk.row.terms_seq, terms_follow()) == (4, 1, 0)
    assert [_found(talk, q) for q in ("turntable GRAM", "waits now", "hopper")] == [[talk.id]] * 3
    assert [_found(talk, q) for q in ("ada", "ramophone")] == [[], []]


def test_a_long_conversation_gets_its_terms_in_parts(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.conversations.services.terms.MESSAGES_AT_ONCE", 2)
    _as_before(talk, *(f"number{n}" for n in range(5)))
    terms_follow()
    assert talk.row.terms_seq == 5
    assert [_found(talk, f"number{n}") for n in range(5)] == [[talk.id]] * 5


# -- what goes -------------------------------------------------------------------------------------------------------
def test_terms_go_with_their_message(talk: Talk) -> None:
    talk.post("a gramophone")
    talk.post("a turntable")
    with tenant_scope(talk.tenant_id):
        Message.objects.filter(conversation_id=talk.id, seq=1).delete()
    assert (_terms(talk), _found(talk, "gramophone"), _found(talk, "turntable")) == (set(), [], [talk.id])
    terms_follow()
    assert (_terms(talk), _found(talk, "turntable")) == ({"a", "turntable"}, [talk.id])


@pytest.mark.parametrize("table", ["conversations_contact", "conversations_conversation"])
def test_terms_go_with_their_visitor_or_conversation(talk: Talk, table: str) -> None:
    """By the database itself, whoever deletes."""
    talk.post("a gramophone")
    row = talk.row
    key = row.contact_id if table == "conversations_contact" else row.id
    with tenant_scope(talk.tenant_id), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} WHERE id = %s", [key])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        left = (ConversationTerm.objects.count(), ContactTerm.objects.count(), Message.objects.count())
    assert left == (0, 0 if table == "conversations_contact" else 1, 0)


def test_terms_go_with_the_organisation_s_contact_through_the_orm(talk: Talk) -> None:
    talk.post("a gramophone")
    with tenant_scope(talk.tenant_id):
        Contact.objects.all().delete()
        assert (ConversationTerm.objects.count(), ContactTerm.objects.count()) == (0, 0)


# -- indexes ---------------------------------------------------------------------------------------------------------
def _plans(tenant_id: uuid.UUID, q: str) -> str:
    """Return the plans of all that a search asks for, where whole tables are not to be read if an index will do."""
    seen: list[tuple[str, Any]] = []

    def note(execute: Any, statement: str, params: Any, many: bool, context: Any) -> Any:
        seen.append((statement, params))
        return execute(statement, params, many, context)

    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        with connection.execute_wrapper(note):
            conversations_list(tenant_id=tenant_id, q=q)
        plans = []
        for statement, params in [one for one in seen if one[0].startswith("SELECT")]:
            cursor.execute(f"EXPLAIN {statement}", params)
            plans += [line for (line,) in cursor.fetchall()]
    return "\n".join(plans)


@pytest.fixture
def many(talk: Talk) -> Talk:
    """An organisation with 400 conversations of 20 words each."""
    talk.post("gramophone")
    with tenant_scope(talk.tenant_id):
        first = talk.row
        rows = [
            Conversation(
                id=new_id(),
                tenant_id=talk.tenant_id,
                inbox_id=first.inbox_id,
                contact_id=first.contact_id,
                updated_at=first.updated_at,
                last_seq=1,
                terms_seq=1,
            )
            for _ in range(400)
        ]
        Conversation.objects.bulk_create(rows)
        ConversationTerm.objects.bulk_create(
            ConversationTerm(tenant_id=talk.tenant_id, conversation_id=row.id, term=f"word{n}")
            for row in rows
            for n in range(20)
        )
    analyse("conversations_conversation", "conversations_conversationterm", "conversations_contactterm")
    return talk


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("either_way")
def test_a_search_is_looked_up_in_indexes_alone(many: Talk) -> None:
    plans = _plans(many.tenant_id, "gramo word1")
    assert "term >= 'gramo'" in plans
    assert "Seq Scan" not in plans
    assert "conversations_message" not in plans
    lines = plans.splitlines()
    narrowed = [
        (lines[n - 1] if "Filter: " in line else line) for n, line in enumerate(lines) if "term >= 'gramo'" in line
    ]
    # Looked up by the term, or for one conversation or contact at a time.
    wanted = re.compile(r"Index Cond: .*(term >= 'gramo'|conversation_id = |contact_id = )")
    assert [line for line in narrowed if not wanted.search(line)] == []
    assert any("Index Cond" in line and "term >= 'gramo'" in line for line in lines)


def test_comparing_beginnings_leaks_nothing() -> None:
    """Why terms are rows in the order of code points: below the wall only such operators are looked up in an index."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT proname FROM pg_proc WHERE proleakproof "
            "AND proname IN ('text_ge', 'text_le', 'texteq', 'textlike', 'texticlike', 'ts_match_vq')"
        )
        assert sorted(name for (name,) in cursor.fetchall()) == ["text_ge", "text_le", "texteq"]
