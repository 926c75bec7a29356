"""Thumbs on messages and the score of a conversation."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from apps.conversations.models import Rating
from apps.conversations.services import csat_set, rating_set
from apps.core.errors import Invalid, NotFound
from apps.core.tenancy import tenant_scope
from tests.conversations.conftest import Talk

NO_NUMBER: list[Any] = [0, 2, -2, None, "1", 1.5, True, [1], {"a": 1}, float("nan"), 10**30]


def _rate(talk: Talk, message_id: uuid.UUID, value: Any = 1, comment: str = "") -> None:
    rating_set(tenant_id=talk.tenant_id, conversation_id=talk.id, message_id=message_id, value=value, comment=comment)


def _ratings(talk: Talk) -> list[tuple[int, str]]:
    with tenant_scope(talk.tenant_id):
        return list(Rating.objects.values_list("value", "comment"))


def test_the_newest_rating_counts(talk: Talk) -> None:
    message = talk.post(role="bot").message
    _rate(talk, message.id, 1)
    _rate(talk, message.id, -1, "wrong")
    assert _ratings(talk) == [(-1, "wrong")]
    assert [event["value"] for event in talk.events("rating.set")] == [1, -1]


@pytest.mark.parametrize("value", NO_NUMBER, ids=repr)
def test_a_rating_is_one_or_minus_one(talk: Talk, value: Any) -> None:
    message = talk.post(role="bot").message
    with pytest.raises(Invalid):
        _rate(talk, message.id, value)
    assert _ratings(talk) == []


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
    assert (talk.row.csat_value, talk.row.csat_comment) == (4, "good")
    assert talk.events("csat.set") == [{"value": 4}]


@pytest.mark.parametrize("value", [*[v for v in NO_NUMBER if v != 2], 6], ids=repr)
def test_a_score_is_from_one_to_five(talk: Talk, value: Any) -> None:
    with pytest.raises(Invalid):
        csat_set(tenant_id=talk.tenant_id, conversation_id=talk.id, value=value)


def test_a_score_of_a_foreign_conversation_looks_missing(talk: Talk, other_talk: Talk) -> None:
    with pytest.raises(NotFound):
        csat_set(tenant_id=talk.tenant_id, conversation_id=other_talk.id, value=4)
    assert other_talk.row.csat_value is None
