"""Reading messages in the background comes after the bot's answer: nobody waits for it, and it makes nobody wait."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from apps.conversations.services import conversation_update
from apps.core.clock import now
from apps.core.tenancy import tenant_scope
from apps.events.services import dispatch_due, handlers_of
from apps.insights.models import MessageVector
from apps.insights.services.annotations import ANNOTATE
from apps.jobs.models import Job, JobDispatch
from apps.jobs.services import job_run, jobs_sweep
from tests import fakes
from tests.conversations.conftest import Talk

pytestmark = pytest.mark.django_db(transaction=True)
REPLY = "assistant.reply_generate"


@pytest.fixture(autouse=True)
def fake_models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels())


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> list[uuid.UUID]:
    """What the broker is told, in order; the test is the worker."""
    found: list[uuid.UUID] = []
    monkeypatch.setattr("apps.jobs.services.enqueue.broker_hint", lambda job_id, queue: found.append(job_id))
    monkeypatch.setattr("apps.jobs.services.sweep.broker_hint", lambda job_id, queue: found.append(job_id))
    return found


def _told(talk: Talk, hints: list[uuid.UUID]) -> list[str]:
    """Deliver what happened; return the kinds of the jobs that the broker was told of, and forget them."""
    dispatch_due()
    with tenant_scope(talk.tenant_id):
        kinds = dict(Job.objects.filter(id__in=hints).values_list("id", "kind"))
    found = [kinds[job_id] for job_id in hints]
    hints.clear()
    return found


def _run(talk: Talk, kind: str) -> None:
    with tenant_scope(talk.tenant_id):
        ids = list(Job.objects.filter(kind=kind, finished_at=None).values_list("id", flat=True))
    for job_id in ids:
        job_run(job_id)


def _read(talk: Talk) -> int:
    with tenant_scope(talk.tenant_id):
        return MessageVector.objects.count()


def test_a_question_is_read_when_the_bot_has_answered(talk: Talk, hints: list[uuid.UUID]) -> None:
    talk.post("When do pallets leave the yard?")
    asked = _told(talk, hints)
    _run(talk, REPLY)
    answered = _told(talk, hints)
    assert (asked, answered) == ([REPLY], [ANNOTATE, ANNOTATE])  # the answer itself, and the question
    _run(talk, ANNOTATE)
    assert _read(talk) == len(talk.messages()) == 2


def test_the_models_are_asked_for_the_answer_first(
    talk: Talk, hints: list[uuid.UUID], fake_models: fakes.FakeModels
) -> None:
    talk.post("When do pallets leave the yard?")
    dispatch_due()
    for _ in range(6):
        for job_id in [hints.pop(0) for _ in list(hints)]:
            job_run(job_id)
        dispatch_due()
    # The answer's search reads the question first, the annotation's vector is of the same text and comes last.
    assert fake_models.embedded.index("When do pallets leave the yard?") == 0
    assert fake_models.embedded.count("When do pallets leave the yard?") >= 2
    assert _read(talk) == 2


def test_where_a_person_answers_a_message_is_read_at_once(talk: Talk, hints: list[uuid.UUID]) -> None:
    conversation_update(tenant_id=talk.tenant_id, conversation_id=talk.id, changes={"handler": "person"}, actor="test")
    talk.post("Where is my parcel?")
    assert _told(talk, hints) == [ANNOTATE]


def test_what_an_agent_writes_is_read_at_once(talk: Talk, hints: list[uuid.UUID]) -> None:
    talk.post("Good morning from the team.", role="agent")
    assert _told(talk, hints) == [ANNOTATE]


def test_taking_over_ends_the_wait(talk: Talk, hints: list[uuid.UUID]) -> None:
    talk.post("When do pallets leave the yard?")
    _told(talk, hints)
    conversation_update(tenant_id=talk.tenant_id, conversation_id=talk.id, changes={"handler": "person"}, actor="test")
    assert _told(talk, hints) == [ANNOTATE]


def test_a_question_that_is_never_answered_is_read_all_the_same(talk: Talk, hints: list[uuid.UUID]) -> None:
    talk.post("When do pallets leave the yard?")
    _told(talk, hints)
    JobDispatch.objects.filter(queue="default").update(next_attempt_at=now() - timedelta(seconds=1))
    jobs_sweep()
    assert _told(talk, hints) == [ANNOTATE]


def test_reading_a_message_is_the_last_thing_that_it_sets_off() -> None:
    """Whatever the order in which apps are loaded: the answer's job is the first that is made."""
    modules: list[Any] = [handler.__module__ for handler in handlers_of("message.created")]
    assert modules[-1] == "apps.insights.handlers"
    assert modules.index("apps.assistant.handlers") < len(modules) - 1
