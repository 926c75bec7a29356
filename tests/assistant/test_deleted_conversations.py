"""A conversation is deleted while the bot, a draft or the reading of its messages is under way: all of it just ends."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from apps.assistant.services import replies
from apps.conversations.services import (
    conversation_create,
    conversation_delete,
    conversation_update,
    draft_create,
    message_post,
)
from apps.core.clock import now
from apps.core.tenancy import tenant_scope
from apps.events.models import Delivery, OutboxEntry
from apps.events.services import dispatch_due
from apps.inference.services.streams import stream_read_sync
from apps.jobs.models import Job, JobDispatch
from apps.jobs.services import job_run
from tests import fakes
from tests.matrix.rows import rows_of

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Talk:
    """One conversation, until it is deleted."""

    tenant_id: uuid.UUID
    id: uuid.UUID

    def say(self, role: str = "contact") -> None:
        message_post(
            tenant_id=self.tenant_id, conversation_id=self.id, role=role, text="When do pallets leave the yard?"
        )

    def change(self, **changes: Any) -> None:
        conversation_update(tenant_id=self.tenant_id, conversation_id=self.id, changes=changes, actor="test")

    def draft(self) -> None:
        draft_create(tenant_id=self.tenant_id, conversation_id=self.id, user_id=None)

    def delete(self) -> None:
        conversation_delete(tenant_id=self.tenant_id, conversation_id=self.id, actor="test")


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels())


@pytest.fixture
def talk(tenant: Any, inbox: Any, models: fakes.FakeModels, monkeypatch: pytest.MonkeyPatch) -> Talk:
    monkeypatch.setattr("apps.jobs.services.enqueue.broker_hint", lambda *_: None)
    return Talk(tenant.id, conversation_create(tenant_id=tenant.id, contact={"name": "Ada"}).id)


def _left_over() -> tuple[int, int]:
    dispatch_due()
    return Delivery.objects.count(), OutboxEntry.objects.count()


def _jobs(kind: str = "") -> list[uuid.UUID]:
    rows = JobDispatch.objects.filter(status="queued")
    return [row.job_id for row in rows if not kind or _kind(row) == kind]


def _kind(row: JobDispatch) -> str:
    with tenant_scope(row.tenant_id):
        return Job.objects.get(id=row.job_id).kind


EVENTS: dict[str, Callable[[Talk], None]] = {
    "a message": lambda talk: talk.say(),
    "an agent's message": lambda talk: talk.say("agent"),
    "a hand-over": lambda talk: talk.change(handler="person"),
    "resolving": lambda talk: talk.change(status="resolved"),
    "a draft": lambda talk: talk.draft(),
}


@pytest.mark.parametrize("what", sorted(EVENTS))
def test_what_was_not_delivered_yet_reaches_nobody(talk: Talk, what: str) -> None:
    talk.say()
    dispatch_due()
    EVENTS[what](talk)
    talk.delete()
    assert _left_over() == (0, 0)


def test_jobs_that_wait_end_at_their_first_attempt(talk: Talk) -> None:
    talk.say()
    talk.draft()
    dispatch_due()
    waiting = _jobs()
    talk.delete()
    for job_id in waiting:
        JobDispatch.objects.filter(job_id=job_id).update(next_attempt_at=now())
        job_run(job_id)
    states = set(JobDispatch.objects.filter(job_id__in=waiting).values_list("status", "attempts"))
    assert len(waiting) >= 3
    assert {attempts for _, attempts in states} == {1}
    assert {status for status, _ in states} <= {"done", "failed", "cancelled"}


def test_a_run_of_the_bot_ends_as_cancelled_and_tells_its_readers(
    talk: Talk, models: fakes.FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk.say()
    dispatch_due()
    (job_id,) = _jobs("assistant.reply_generate")
    with tenant_scope(talk.tenant_id):
        reply_id = Job.objects.get(id=job_id).payload["reply_id"]

    def deleted_meanwhile(ctx: Any, reply: Any, writer: Any) -> Any:
        talk.delete()
        return answer(ctx, reply, writer)

    answer = replies._answer
    monkeypatch.setattr(replies, "_answer", deleted_meanwhile)
    job_run(job_id)
    assert JobDispatch.objects.get(job_id=job_id).status == "cancelled"
    assert stream_read_sync(talk.tenant_id, reply_id)[-1].kind == "end"
    assert _left_over() == (0, 0)
    rows = rows_of(talk.tenant_id)
    assert (rows["conversations_message"], rows["assistant_reply"]) == ([], [])
