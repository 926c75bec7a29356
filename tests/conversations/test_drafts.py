"""What becomes of a draft: sent as it is, sent otherwise, thrown away, and once only."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from apps.conversations.models import Draft
from apps.conversations.selectors import draft_get
from apps.conversations.services import draft_create, draft_decide, draft_finish, judgements_follow
from apps.conversations.services.drafts import MAX_RUNNING
from apps.core.errors import Conflict, Invalid, NotFound
from apps.core.tenancy import tenant_scope
from apps.judgements.models import Judgement
from apps.judgements.selectors import judgements_of
from apps.judgements.types import Author, AuthorKind
from tests.at_once import at_once
from tests.conversations.conftest import Talk

CITED = [{"document": "Guide", "quote": "It takes two days."}]


@pytest.fixture
def draft(talk: Talk, member: Any) -> uuid.UUID:
    """A finished draft."""
    made = draft_create(tenant_id=talk.tenant_id, conversation_id=talk.id, user_id=member.id, instruction="short")
    draft_finish(tenant_id=talk.tenant_id, draft_id=made.id, status="ready", text="Two days.", citations=CITED)
    return made.id


def _decide(talk: Talk, draft_id: uuid.UUID, decision: str, member: Any, text: str = "") -> Any:
    return draft_decide(tenant_id=talk.tenant_id, draft_id=draft_id, decision=decision, user_id=member.id, text=text)


def _row(talk: Talk, draft_id: uuid.UUID) -> Draft:
    with tenant_scope(talk.tenant_id):
        return Draft.objects.get(id=draft_id)


def test_an_accepted_draft_is_sent_as_it_is_with_its_citations(talk: Talk, draft: uuid.UUID, member: Any) -> None:
    posted = _decide(talk, draft, "accepted", member)
    assert (posted.message.text, posted.message.role, posted.message.citations) == ("Two days.", "agent", CITED)
    assert (_row(talk, draft).status, _row(talk, draft).message_id) == ("accepted", posted.message.id)


def test_an_edited_draft_keeps_both_texts(talk: Talk, draft: uuid.UUID, member: Any) -> None:
    posted = _decide(talk, draft, "edited", member, "Three days.")
    assert (posted.message.text, posted.message.citations) == ("Three days.", [])
    assert (_row(talk, draft).text, _row(talk, draft).final_text) == ("Two days.", "Three days.")


def test_a_rejected_draft_sends_nothing(talk: Talk, draft: uuid.UUID, member: Any) -> None:
    assert _decide(talk, draft, "rejected", member) is None
    assert talk.messages() == []
    assert _row(talk, draft).status == "rejected"


def test_sending_a_draft_takes_the_conversation(talk: Talk, draft: uuid.UUID, member: Any) -> None:
    _decide(talk, draft, "accepted", member)
    assert (talk.row.handler, talk.row.assignee_id) == ("person", member.id)


def _fate(talk: Talk, draft_id: uuid.UUID) -> list[tuple[str, Author]]:
    found = judgements_of(tenant_id=talk.tenant_id, target_kind="draft", target_ids=[draft_id], field="fate")
    return [(one.value, one.author) for one in found]


@pytest.mark.parametrize("decision", ["accepted", "edited", "rejected"])
def test_the_fate_of_a_draft_is_a_judgement_of_the_member(
    talk: Talk, draft: uuid.UUID, member: Any, decision: str
) -> None:
    _decide(talk, draft, decision, member, "Three days.")
    assert _fate(talk, draft) == [(decision, Author(AuthorKind.USER, str(member.id)))]
    assert judgements_follow() == 0


@pytest.mark.parametrize(("decision", "known"), [("accepted", True), ("edited", True), ("rejected", False)])
def test_the_fate_of_a_draft_of_before_becomes_a_judgement(
    talk: Talk, draft: uuid.UUID, member: Any, decision: str, known: bool
) -> None:
    _decide(talk, draft, decision, member, "Three days.")
    with tenant_scope(talk.tenant_id):
        Judgement.objects.all().delete()
        Draft.objects.update(judged=False)
    assert (judgements_follow(), judgements_follow()) == (1, 0)
    assert _fate(talk, draft) == [(decision, Author(AuthorKind.USER, str(member.id) if known else ""))]


def test_a_draft_that_is_not_decided_is_judged_by_nobody(talk: Talk, draft: uuid.UUID) -> None:
    assert judgements_follow() == 0
    assert _fate(talk, draft) == []


@pytest.mark.parametrize("again", ["accepted", "edited", "rejected"])
def test_a_draft_is_decided_once(talk: Talk, draft: uuid.UUID, member: Any, again: str) -> None:
    _decide(talk, draft, "rejected", member)
    with pytest.raises(Conflict) as caught:
        _decide(talk, draft, again, member, "x")
    assert caught.value.code == "draft_decided"


def test_decisions_at_the_same_moment_send_one_message(
    transactional_db: None, talk: Talk, draft: uuid.UUID, member: Any
) -> None:
    results = at_once([lambda: _decide(talk, draft, "accepted", member)] * 5)
    assert sum(isinstance(result, Conflict) for result in results) == 4
    assert len(talk.messages()) == 1


def test_a_draft_that_is_being_written_cannot_be_sent(talk: Talk, member: Any) -> None:
    made = draft_create(tenant_id=talk.tenant_id, conversation_id=talk.id, user_id=member.id)
    with pytest.raises(Conflict) as caught:
        _decide(talk, made.id, "accepted", member)
    assert caught.value.code == "draft_not_ready"


def test_a_draft_that_is_being_written_can_be_rejected_and_stays_so(talk: Talk, member: Any) -> None:
    made = draft_create(tenant_id=talk.tenant_id, conversation_id=talk.id, user_id=member.id)
    _decide(talk, made.id, "rejected", member)
    draft_finish(tenant_id=talk.tenant_id, draft_id=made.id, status="ready", text="late")
    assert (_row(talk, made.id).status, _row(talk, made.id).text) == ("rejected", "")


def test_an_empty_edit_is_refused_and_decides_nothing(talk: Talk, draft: uuid.UUID, member: Any) -> None:
    with pytest.raises(Invalid):
        _decide(talk, draft, "edited", member, "  ")
    assert _row(talk, draft).status == "ready"


def test_too_many_running_drafts_are_refused(talk: Talk, member: Any) -> None:
    for _ in range(MAX_RUNNING):
        draft_create(tenant_id=talk.tenant_id, conversation_id=talk.id, user_id=member.id)
    with pytest.raises(Conflict) as caught:
        draft_create(tenant_id=talk.tenant_id, conversation_id=talk.id, user_id=member.id)
    assert caught.value.code == "drafts_running"


def test_an_instruction_has_a_limit(talk: Talk, member: Any) -> None:
    with pytest.raises(Invalid):
        draft_create(tenant_id=talk.tenant_id, conversation_id=talk.id, user_id=member.id, instruction="x" * 501)


def test_a_foreign_draft_looks_missing(talk: Talk, other_talk: Talk, member: Any) -> None:
    foreign = draft_create(tenant_id=other_talk.tenant_id, conversation_id=other_talk.id, user_id=None)
    draft_finish(tenant_id=other_talk.tenant_id, draft_id=foreign.id, status="ready", text="secret")
    with pytest.raises(NotFound):
        _decide(talk, foreign.id, "accepted", member)
    with pytest.raises(NotFound):
        draft_get(tenant_id=talk.tenant_id, draft_id=foreign.id)
    assert _row(other_talk, foreign.id).status == "ready"


def test_a_draft_for_a_foreign_conversation_looks_missing(talk: Talk, other_talk: Talk) -> None:
    with pytest.raises(NotFound):
        draft_create(tenant_id=talk.tenant_id, conversation_id=other_talk.id, user_id=None)
