"""Posting: dense order, one row per client_id, row and event together."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from apps.conversations.access import access_visitor
from apps.conversations.models import Contact, Conversation, Message, VisitorToken
from apps.conversations.selectors import messages_after
from apps.conversations.services import NewConversation, clean_text, message_post
from apps.conversations.services.visitors import reserved_conversation_id
from apps.conversations.types import MAX_TEXT
from apps.core.errors import Conflict, Invalid, NotFound
from apps.core.tenancy import tenant_scope
from apps.events.models import Event, OutboxEntry
from tests.at_once import at_once
from tests.conversations.conftest import Talk


# -- order -----------------------------------------------------------------------------------------------------------
def test_seq_is_dense_under_concurrent_posts(transactional_db: None, talk: Talk) -> None:
    at_once([lambda: talk.post("x")] * 20)
    assert [message.seq for message in talk.messages()] == list(range(1, 21))
    assert talk.row.last_seq == 20


def test_notes_take_a_seq_that_visitors_do_not_miss(talk: Talk, db: None) -> None:
    talk.post("one")
    talk.post("note", role="agent", private=True)
    talk.post("three")
    seen, _ = messages_after(tenant_id=talk.tenant_id, conversation_id=talk.id, staff=False)
    assert [(m.seq, m.prev_seq(staff=False)) for m in seen] == [(1, 0), (3, 1)]


def test_staff_see_every_seq(talk: Talk, db: None) -> None:
    talk.post("one")
    talk.post("note", role="agent", private=True)
    talk.post("three")
    seen, _ = messages_after(tenant_id=talk.tenant_id, conversation_id=talk.id, staff=True)
    assert [(m.seq, m.prev_seq(staff=True)) for m in seen] == [(1, 0), (2, 1), (3, 2)]


def test_a_visitor_is_not_told_who_in_the_team_wrote(talk: Talk, member: Any) -> None:
    talk.post("hi", role="agent", author_id=member.id)
    seen, _ = messages_after(tenant_id=talk.tenant_id, conversation_id=talk.id, staff=False)
    assert seen[0].as_dict(staff=False)["author"] == {"name": "Owner"}
    assert {"private", "reply_id"} & set(seen[0].as_dict(staff=False)) == set()


def test_paging_says_whether_there_is_more(talk: Talk, db: None) -> None:
    for number in range(3):
        talk.post(str(number))
    page = {"tenant_id": talk.tenant_id, "conversation_id": talk.id, "staff": True}
    assert [m.text for m in messages_after(**page, after_seq=1, limit=1)[0]] == ["1"]
    assert [messages_after(**page, after_seq=after, limit=1)[1] for after in (1, 2)] == [True, False]


# -- repeats ---------------------------------------------------------------------------------------------------------
def test_a_repeated_client_id_gives_the_same_message(talk: Talk, db: None) -> None:
    client_id = uuid.uuid4()
    first, again = talk.post("hi", client_id=client_id), talk.post("other text", client_id=client_id)
    assert (again.created, again.message) == (False, first.message)
    assert len(talk.messages()) == len(talk.events("message.created")) == 1


def test_a_client_id_is_not_shared_between_roles(talk: Talk, db: None) -> None:
    client_id = uuid.uuid4()
    talk.post("hi", client_id=client_id)
    with pytest.raises(Conflict) as caught:
        talk.post("hi", role="agent", client_id=client_id)
    assert caught.value.code == "client_id_reused"


def test_500_ids_sent_one_to_five_times_make_500_messages(
    transactional_db: None, tenant: Any, talk_of: Any, inbox: Any
) -> None:
    """A2: each id 1 to 5 times, a fifth of them at the same moment."""
    dice = random.Random(2)
    talks = [talk_of(tenant) for _ in range(5)]
    acks: dict[uuid.UUID, set[tuple[Any, ...]]] = {}
    for number in range(500):
        client_id, talk, times = uuid.uuid4(), talks[number % 5], dice.randint(1, 5)
        works: list[Callable[[], Any]] = [lambda t=talk, c=client_id: t.post(str(c), client_id=c)] * times
        posted = at_once(works) if number % 5 == 0 else [work() for work in works]
        acks[client_id] = {(p.message.id, p.message.seq) for p in posted}
    rows = Counter(message.client_id for talk in talks for message in talk.messages())
    assert rows == Counter(list(acks))
    assert [len(answers) for answers in acks.values()] == [1] * 500
    assert [[m.seq for m in talk.messages()] for talk in talks] == [list(range(1, 101))] * 5
    assert [len(talk.events("message.created")) for talk in talks] == [100] * 5


def test_first_messages_at_the_same_moment_make_one_conversation(
    transactional_db: None, tenant: Any, inbox: Any
) -> None:
    visitor = access_visitor(inbox, None)
    where = {"tenant_id": tenant.id, "conversation_id": reserved_conversation_id(visitor.token)}
    results = at_once(
        [lambda: message_post(**where, role="contact", text="hi", client_id=uuid.uuid4(), new=NewConversation(visitor))]
        * 8
    )
    assert sorted(posted.message.seq for posted in results) == list(range(1, 9))
    with tenant_scope(tenant.id):
        counts = [model.objects.count() for model in (Conversation, Contact, VisitorToken)]
    assert counts == [1, 1, 1]


def test_one_client_id_in_two_conversations_is_two_messages(tenant: Any, inbox: Any, talk_of: Any) -> None:
    client_id = uuid.uuid4()
    posted = [talk_of(tenant).post("hi", client_id=client_id) for _ in range(2)]
    assert [p.created for p in posted] == [True, True]


# -- row and event are one -------------------------------------------------------------------------------------------
class Boom(Exception):
    """The injected fault."""


@contextmanager
def _failing_at(point: int, *, before: bool) -> Iterator[list[str]]:
    """Raise at the statement number `point` (from 1), before or after the database has run it."""
    seen: list[str] = []

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.append(sql)
        if before and len(seen) == point:
            raise Boom
        result = execute(sql, params, many, context)
        if not before and len(seen) == point:
            raise Boom
        return result

    with connection.execute_wrapper(wrapper):
        yield seen


def _counts(tenant_id: uuid.UUID) -> dict[str, int]:
    with tenant_scope(tenant_id):
        return {
            "messages": Message.objects.count(),
            "message events": Event.objects.filter(type="message.created").count(),
            "outbox": OutboxEntry.objects.filter(tenant_id=tenant_id).count(),
            "events": Event.objects.count(),
            "conversations": Conversation.objects.count(),
            "conversation events": Event.objects.filter(type="conversation.created").count(),
            "contacts": Contact.objects.count(),
            "tokens": VisitorToken.objects.count(),
            "last_seq": sum(Conversation.objects.values_list("last_seq", flat=True)),
        }


def _faults(post: Callable[[], Any], *, before: bool) -> int:
    """Let `post` fail at each of its statements in turn; returns how many there were."""
    point = 0
    while True:
        point += 1
        with _failing_at(point, before=before) as seen:
            try:
                post()
            except Boom:
                continue
        return len(seen)


@pytest.mark.parametrize("before", [True, False])
def test_a_fault_at_any_statement_leaves_nothing(transactional_db: None, talk: Talk, before: bool) -> None:
    """A4: row, sequence number, event and outbox entry, or none of them."""
    start = _counts(talk.tenant_id)
    statements = _faults(lambda: talk.post("hi", client_id=uuid.uuid4()), before=before)
    after = _counts(talk.tenant_id)
    added = {name: after[name] - start[name] for name in start if after[name] != start[name]}
    assert statements >= 6
    assert added == {"messages": 1, "message events": 1, "outbox": 1, "events": 1, "last_seq": 1}


@pytest.mark.parametrize("before", [True, False])
def test_a_fault_in_a_first_message_leaves_nothing(
    transactional_db: None, tenant: Any, inbox: Any, before: bool
) -> None:
    visitor = access_visitor(inbox, None)
    conversation_id = reserved_conversation_id(visitor.token)

    def post() -> None:
        message_post(
            tenant_id=tenant.id,
            conversation_id=conversation_id,
            role="contact",
            text="hi",
            client_id=uuid.uuid4(),
            new=NewConversation(visitor),
        )

    start = _counts(tenant.id)
    statements = _faults(post, before=before)
    after = _counts(tenant.id)
    assert statements >= 12
    assert {name: after[name] - start[name] for name in start} == {
        "messages": 1,
        "message events": 1,
        "outbox": 2,
        "events": 2,
        "conversations": 1,
        "conversation events": 1,
        "contacts": 1,
        "tokens": 1,
        "last_seq": 1,
    }


# -- what a text may be ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "text_invalid"),
        (7, "text_invalid"),
        (["x"], "text_invalid"),
        ("", "text_empty"),
        (" \n\t", "text_empty"),
        ("\x00", "text_empty"),
        ("\ud800", "text_invalid"),
        ("x" * (MAX_TEXT + 1), "text_too_long"),
    ],
)
def test_a_text_that_is_no_message_is_refused(text: Any, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        clean_text(text)
    assert caught.value.code == code


def test_nul_and_outer_space_are_dropped() -> None:
    assert clean_text("  a\x00b \n") == "ab"


def test_the_longest_text_is_stored_whole(talk: Talk, db: None) -> None:
    text = "好" * MAX_TEXT
    assert talk.post(text).message.text == text


def test_a_foreign_conversation_looks_missing(tenant: Any, other_talk: Talk) -> None:
    with pytest.raises(NotFound):
        message_post(tenant_id=tenant.id, conversation_id=other_talk.id, role="contact", text="hi")
    assert other_talk.messages() == []
