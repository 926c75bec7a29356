"""Thumbs on messages and the score of a conversation."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from apps.conversations.models import Conversation, Rating
from apps.conversations.services import csat_set, judgements, judgements_follow, rating_set
from apps.core.errors import Invalid, NotFound
from apps.core.tenancy import tenant_scope
from apps.events.models import Event
from apps.judgements.selectors import judgements_of
from apps.judgements.types import Author, AuthorKind
from tests.conversations.conftest import Talk

NO_NUMBER: list[Any] = [0, 2, -2, None, "1", 1.5, True, [1], {"a": 1}, float("nan"), 10**30]


def _rate(talk: Talk, message_id: uuid.UUID, value: Any = 1, comment: str = "") -> None:
    rating_set(tenant_id=talk.tenant_id, conversation_id=talk.id, message_id=message_id, value=value, comment=comment)


def _judged(talk: Talk, kind: str = "message") -> list[tuple[float | None, str]]:
    """Values and reasons of what the contact holds of the conversation, or of its messages."""
    targets = [message.id for message in talk.messages()] if kind == "message" else [talk.id]
    found = judgements_of(tenant_id=talk.tenant_id, target_kind=kind, target_ids=targets)
    author = Author(AuthorKind.CONTACT, str(talk.row.contact_id))
    return [(one.number, one.reason) for one in found if one.author == author]


def test_the_newest_rating_counts(talk: Talk) -> None:
    message = talk.post(role="bot").message
    _rate(talk, message.id, 1)
    _rate(talk, message.id, -1, "wrong")
    assert _judged(talk) == [(-1, "wrong")]
    assert [event["value"] for event in talk.events("rating.set")] == [1, -1]


@pytest.mark.parametrize("value", NO_NUMBER, ids=repr)
def test_a_rating_is_one_or_minus_one(talk: Talk, value: Any) -> None:
    message = talk.post(role="bot").message
    with pytest.raises(Invalid):
        _rate(talk, message.id, value)
    assert _judged(talk) == []


def test_a_comment_has_a_limit(talk: Talk) -> None:
    message = talk.post(role="bot").message
    with pytest.raises(Invalid):
        _rate(talk, message.id, 1, "x" * 1001)


def test_a_note_cannot_be_rated(talk: Talk) -> None:
    note = talk.post(role="agent", private=True).message
    with pytest.raises(NotFound):
        _rate(talk, note.id)


def test_a_message_of_another_conversation_looks_missing(talk: Talk, tenant: Any, talk_of: Any) -> None:
    elsewhere = talk_of(tenant).post(role="bot").message
    with pytest.raises(NotFound):
        _rate(talk, elsewhere.id)


def test_a_message_of_another_organisation_looks_missing(talk: Talk, other_talk: Talk) -> None:
    foreign = other_talk.post(role="bot").message
    with pytest.raises(NotFound):
        _rate(talk, foreign.id)


def test_a_score_is_kept_with_the_conversation(talk: Talk) -> None:
    csat_set(tenant_id=talk.tenant_id, conversation_id=talk.id, value=4, comment="good")
    assert _judged(talk, "conversation") == [(4, "good")]
    assert talk.events("csat.set") == [{"value": 4}]


@pytest.mark.parametrize("value", [*[v for v in NO_NUMBER if v != 2], 6], ids=repr)
def test_a_score_is_from_one_to_five(talk: Talk, value: Any) -> None:
    with pytest.raises(Invalid):
        csat_set(tenant_id=talk.tenant_id, conversation_id=talk.id, value=value)


def test_a_score_of_a_foreign_conversation_looks_missing(talk: Talk, other_talk: Talk) -> None:
    with pytest.raises(NotFound):
        csat_set(tenant_id=talk.tenant_id, conversation_id=other_talk.id, value=4)
    assert _judged(other_talk, "conversation") == []


# -- what processes of the version before keep, and kept -------------------------------------------------------------
def _as_an_older_process(talk: Talk, message_id: uuid.UUID, value: int, comment: str, score: int) -> None:
    with tenant_scope(talk.tenant_id):
        Rating.objects.update_or_create(message_id=message_id, defaults={"value": value, "comment": comment})
        Conversation.objects.filter(id=talk.id).update(csat_value=score, csat_comment=comment)


def test_what_was_kept_elsewhere_becomes_judgements(talk: Talk, other_talk: Talk) -> None:
    for one in (talk, other_talk):
        _as_an_older_process(one, one.post(role="bot").message.id, -1, "wrong", 2)
    with tenant_scope(talk.tenant_id):
        rated_at = Rating.objects.get().created_at
    assert (judgements_follow(), judgements_follow()) == (4, 0)
    for one in (talk, other_talk):
        assert (_judged(one), _judged(one, "conversation")) == ([(-1, "wrong")], [(2, "wrong")])
    (thumb,) = judgements_of(tenant_id=talk.tenant_id, target_kind="message", target_ids=[talk.messages()[0].id])
    assert thumb.judged_at == rated_at
    with tenant_scope(talk.tenant_id):
        assert not Rating.objects.exists()
    assert talk.row.csat_value is None


def test_the_newest_counts_whichever_process_wrote_it(talk: Talk) -> None:
    message = talk.post(role="bot").message
    _as_an_older_process(talk, message.id, 1, "before", 5)
    _rate(talk, message.id, -1, "after")
    csat_set(tenant_id=talk.tenant_id, conversation_id=talk.id, value=1, comment="after")
    first = judgements_follow()
    kept = _judged(talk), _judged(talk, "conversation")
    _as_an_older_process(talk, message.id, 1, "last", 3)
    judgements_follow()
    assert (first, kept) == (0, ([(-1, "after")], [(1, "after")]))
    assert (_judged(talk), _judged(talk, "conversation")) == ([(1, "last")], [(3, "last")])


def test_much_is_carried_over_in_parts(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judgements, "ROWS_AT_ONCE", 2)
    messages = [talk.post(role="bot").message for _ in range(5)]
    with tenant_scope(talk.tenant_id):
        for message in messages:
            Rating.objects.create(message_id=message.id, value=1)
    assert judgements_follow() == 5
    assert len(_judged(talk)) == 5


def test_what_is_judged_is_told_without_its_reason(talk: Talk) -> None:
    message = talk.post(role="bot").message
    _rate(talk, message.id, 1, "thanks a lot")
    with tenant_scope(talk.tenant_id):
        (told,) = Event.objects.filter(type="judgement.made").values_list("data", flat=True)
    assert told == {
        "target_kind": "message",
        "target_id": str(message.id),
        "field": "thumbs",
        "author_kind": "contact",
        "value": "1",
    }
