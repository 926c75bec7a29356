"""Who answers, who waits, what is open."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from apps.conversations.services import (
    conversation_handoff,
    conversation_seen,
    conversation_update,
    inbox_update,
)
from apps.core.errors import Invalid, NotFound
from tests.at_once import at_once
from tests.conversations.conftest import Talk


def _update(talk: Talk, **changes: Any) -> Any:
    return conversation_update(tenant_id=talk.tenant_id, conversation_id=talk.id, changes=changes, actor="test")


def _handoff(talk: Talk) -> bool:
    return conversation_handoff(tenant_id=talk.tenant_id, conversation_id=talk.id, reason="asked", actor="test")


def test_a_new_conversation_is_open_and_the_bots(talk: Talk) -> None:
    assert (talk.row.status, talk.row.handler, talk.row.waiting_since) == ("open", "bot", None)


def test_with_the_bot_off_a_new_conversation_waits_for_a_person(tenant: Any, inbox: Any, talk_of: Any) -> None:
    inbox_update(tenant_id=tenant.id, inbox_id=inbox.id, changes={"bot_enabled": False}, actor="test")
    talk = talk_of(tenant)
    talk.post()
    assert talk.row.handler == "person"
    assert talk.row.waiting_since is not None


def test_a_message_reopens_a_resolved_conversation_for_the_bot(talk: Talk, member: Any) -> None:
    talk.post("hi", role="agent", author_id=member.id)
    _update(talk, status="resolved")
    talk.post("again")
    assert (talk.row.status, talk.row.handler, talk.row.assignee_id) == ("open", "bot", None)


def test_a_message_leaves_an_open_conversation_with_its_person(talk: Talk, member: Any) -> None:
    talk.post("hi", role="agent", author_id=member.id)
    talk.post("thanks")
    assert (talk.row.handler, talk.row.assignee_id) == ("person", member.id)


def test_a_public_reply_takes_the_conversation_from_the_bot(talk: Talk, member: Any) -> None:
    talk.post("hi", role="agent", author_id=member.id)
    assert (talk.row.handler, talk.row.assignee_id) == ("person", member.id)


def test_a_note_leaves_the_conversation_with_the_bot(talk: Talk, member: Any) -> None:
    talk.post("hi", role="agent", author_id=member.id, private=True)
    assert (talk.row.handler, talk.row.assignee_id) == ("bot", None)


def test_a_note_is_not_shown_as_the_last_line(talk: Talk) -> None:
    talk.post("public")
    talk.post("secret", role="agent", private=True)
    assert (talk.row.last_text, talk.row.last_role) == ("public", "contact")


def test_the_wait_begins_with_the_first_unanswered_message(talk: Talk, member: Any) -> None:
    _update(talk, handler="person")
    talk.post("one")
    began = talk.row.waiting_since
    talk.post("two")
    assert began is not None
    assert talk.row.waiting_since == began


def test_an_answer_ends_the_wait(talk: Talk, member: Any) -> None:
    _handoff(talk)
    talk.post("answer", role="agent", author_id=member.id)
    assert talk.row.waiting_since is None


def test_assigning_takes_from_the_bot(talk: Talk, member: Any) -> None:
    _update(talk, assignee_id=str(member.id))
    assert (talk.row.handler, talk.row.assignee_id) == ("person", member.id)


def test_giving_back_to_the_bot_ends_assignment_and_wait(talk: Talk, member: Any) -> None:
    _update(talk, assignee_id=str(member.id))
    talk.post("waiting")
    _update(talk, handler="bot")
    assert (talk.row.handler, talk.row.assignee_id, talk.row.waiting_since) == ("bot", None, None)


def test_resolving_ends_the_wait(talk: Talk) -> None:
    _handoff(talk)
    _update(talk, status="resolved")
    assert talk.row.waiting_since is None


def test_an_update_tells_what_changed_and_only_that(talk: Talk) -> None:
    _update(talk, status="pending", subject="Order 7")
    assert talk.events("conversation.updated") == [{"changed": {"status": "pending", "subject": "Order 7"}}]


def test_an_update_without_a_change_tells_nothing(talk: Talk) -> None:
    _update(talk, status="open")
    assert talk.events("conversation.updated") == []


def test_an_unknown_field_is_refused(talk: Talk) -> None:
    with pytest.raises(Invalid) as caught:
        _update(talk, last_seq=7)
    assert caught.value.code == "field_unknown"


def test_a_stranger_cannot_be_assigned(talk: Talk) -> None:
    with pytest.raises(NotFound):
        _update(talk, assignee_id=str(uuid.uuid4()))
    assert talk.row.handler == "bot"


def test_a_conversation_is_handed_over_once(talk: Talk) -> None:
    assert [_handoff(talk), _handoff(talk)] == [True, False]
    assert talk.events("conversation.updated") == [{"changed": {"handler": "person"}, "reason": "asked"}]


def test_hand_overs_at_the_same_moment_count_once(transactional_db: None, talk: Talk) -> None:
    results = at_once([lambda: _handoff(talk)] * 6)
    assert sorted(results) == [False] * 5 + [True]
    assert len(talk.events("conversation.updated")) == 1


def test_what_staff_have_seen_never_moves_back(talk: Talk) -> None:
    for _ in range(3):
        talk.post()
    for seq in (2, 1, 99):
        conversation_seen(tenant_id=talk.tenant_id, conversation_id=talk.id, seq=seq)
    assert talk.row.staff_seen_seq == 2
