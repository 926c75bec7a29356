"""Runs of the bot: what they cover, and that none is left behind as active."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from apps.assistant.models import Reply
from apps.assistant.selectors import abstentions_in_a_row
from apps.assistant.services import replies, reply_cancel, reply_generate, reply_start
from apps.conversations.services import conversation_create, conversation_update, message_post
from apps.core.errors import Invalid
from apps.core.tenancy import tenant_scope
from apps.events.services import dispatch_due
from apps.inference.services import StreamWriter
from apps.jobs.models import JobDispatch


@dataclass(frozen=True)
class Bot:
    """A conversation and the runs of the bot in it."""

    tenant_id: uuid.UUID
    id: uuid.UUID

    def post(self, text: str, role: str = "contact") -> int:
        posted = message_post(tenant_id=self.tenant_id, conversation_id=self.id, role=role, text=text)
        dispatch_due()
        return posted.message.seq

    def change(self, **changes: Any) -> None:
        conversation_update(tenant_id=self.tenant_id, conversation_id=self.id, changes=changes, actor="test")
        dispatch_due()

    def runs(self) -> list[Reply]:
        with tenant_scope(self.tenant_id):
            return list(Reply.objects.filter(conversation_id=self.id).order_by("covers_from_seq"))

    def set(self, reply: Reply, **values: Any) -> None:
        with tenant_scope(self.tenant_id):
            Reply.objects.filter(id=reply.id).update(**values)


@pytest.fixture
def bot(tenant: Any, inbox: Any, monkeypatch: pytest.MonkeyPatch) -> Bot:
    monkeypatch.setattr("apps.jobs.services.enqueue.broker_hint", lambda *_: None)
    return Bot(tenant.id, conversation_create(tenant_id=tenant.id, contact={"name": "Ada"}).id)


def test_taking_over_ends_a_run_whose_job_waits_for_another_attempt(bot: Bot) -> None:
    """The first attempt's worker died: the reply says running, the job is queued again."""
    bot.post("When do pallets leave?")
    (run,) = bot.runs()
    bot.set(run, status="running")
    bot.change(handler="person")
    assert [reply.status for reply in bot.runs()] == ["cancelled"]


def test_a_cancelled_run_does_not_come_back_to_life(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker has read the run as queued when it is cancelled."""
    bot.post("When do pallets leave?")
    (run,) = bot.runs()
    JobDispatch.objects.filter(job_id=run.job_id).update(status="running")
    choose = Reply.objects.filter

    class Context:
        tenant_id, payload, attempt = bot.tenant_id, {"reply_id": str(run.id)}, 1

    class Rows:
        """Rows that are cancelled right after they were read, or right before they are written."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.rows = choose(*args, **kwargs)

        def cancel(self) -> None:
            monkeypatch.setattr(Reply.objects, "filter", choose)
            reply_cancel(tenant_id=bot.tenant_id, conversation_id=bot.id)

        def first(self) -> Reply | None:
            found = self.rows.first()
            self.cancel()
            return found

        def update(self, **values: Any) -> int:
            self.cancel()
            return self.rows.update(**values)

    conversation_update(tenant_id=bot.tenant_id, conversation_id=bot.id, changes={"handler": "person"}, actor="test")
    monkeypatch.setattr(Reply.objects, "filter", Rows)
    reply_generate(Context())  # type: ignore[arg-type]
    assert [reply.status for reply in bot.runs()] == ["cancelled"]


def test_giving_back_to_the_bot_answers_what_nobody_answered(bot: Bot) -> None:
    bot.change(handler="person")
    asked = bot.post("When do pallets leave?")
    assert bot.runs() == []
    bot.change(handler="bot")
    assert [(run.covers_from_seq, run.covers_to_seq) for run in bot.runs()] == [(asked, asked)]


def test_giving_back_to_the_bot_does_not_answer_again_what_a_person_answered(bot: Bot) -> None:
    bot.change(handler="person")
    bot.post("When do pallets leave?")
    bot.post("On Tuesday.", role="agent")
    bot.change(handler="bot")
    assert bot.runs() == []
    asked = bot.post("And what do they carry?")
    assert [(run.covers_from_seq, run.covers_to_seq) for run in bot.runs()] == [(asked, asked)]


def test_a_note_is_no_answer(bot: Bot) -> None:
    bot.change(handler="person")
    asked = bot.post("When do pallets leave?")
    message_post(tenant_id=bot.tenant_id, conversation_id=bot.id, role="agent", text="Who knows?", private=True)
    bot.change(handler="bot")
    assert [run.covers_from_seq for run in bot.runs()] == [asked]


def test_an_interrupted_text_is_kept_once_where_the_stream_has_it_twice(bot: Bot) -> None:
    """A command that Redis carried out is sent again when its answer was lost."""
    bot.post("When do pallets leave?")
    (run,) = bot.runs()
    writer = StreamWriter(bot.tenant_id, str(run.id))
    writer.append("Pallets leave on Tuesday.")
    writer._add({"k": "delta", "o": 0, "t": "Pallets leave on Tuesday."})
    kept = replies._interrupted(run)
    assert kept is not None
    assert kept.text == "Pallets leave on Tuesday."


def test_nothing_starts_while_a_run_is_active(bot: Bot) -> None:
    bot.post("When do pallets leave?")
    bot.post("Hello?")
    assert reply_start(tenant_id=bot.tenant_id, conversation_id=bot.id) is None
    assert len(bot.runs()) == 1


def test_what_failed_before_a_resolution_counts_no_more(bot: Bot) -> None:
    for _ in range(2):
        bot.post("When do pallets leave?")
        with tenant_scope(bot.tenant_id):
            Reply.objects.filter(status="queued").update(status="done", decision="abstain", reason="not_found")
    with tenant_scope(bot.tenant_id):
        assert abstentions_in_a_row(bot.id) == 2
    bot.change(status="resolved")
    with tenant_scope(bot.tenant_id):
        assert abstentions_in_a_row(bot.id) == 0


@pytest.mark.parametrize("reason", ["small_talk_thanks", "small_talk_sign", "complaint"])
def test_small_talk_and_complaints_are_no_failures(bot: Bot, reason: str) -> None:
    bot.post("Thanks!")
    with tenant_scope(bot.tenant_id):
        Reply.objects.filter(status="queued").update(status="done", decision="abstain", reason=reason)
        assert abstentions_in_a_row(bot.id) == 0


def test_a_message_that_shows_nothing_is_refused(bot: Bot) -> None:
    with pytest.raises(Invalid) as caught:
        bot.post("\u200b\u2800\ufe0f")
    assert caught.value.code == "text_empty"
    assert bot.runs() == []
