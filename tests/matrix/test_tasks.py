"""Every task and every kind of job may run twice, in sequence, at once, and with a second worker at its end (B1)."""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile

from apps.assistant.services import draft_start, reply_start
from apps.batches.models import Batch
from apps.batches.services import batch_create_from_items, batch_delete, batches_prune
from apps.conversations.models import Contact, Conversation, ConversationTerm, Rating
from apps.conversations.services import (
    conversation_create,
    draft_create,
    inbox_create,
    judgements_follow,
    message_post,
    terms_follow,
)
from apps.core.clock import now
from apps.core.ids import new_id
from apps.core.redis import redis_client
from apps.core.tenancy import tenant_scope
from apps.inference.models import VectorSpace
from apps.inference.services import answering, spaces_follow
from apps.inference.services.rpc import payload_key
from apps.inference.services.streams import stream_key
from apps.insights.models import MessageVector
from apps.insights.services.annotations import annotation_start
from apps.insights.services.conversation_summaries import summary_start
from apps.jobs.models import Job, JobDispatch
from apps.jobs.services import JobContext, job_enqueue, job_kinds, job_run, jobs_sweep
from apps.knowledge.models import ChunkVector, Source
from apps.knowledge.services import source_create_from_text
from apps.nlp.models import ClassifierVersion
from apps.nlp.services.classifier_encoders import classifiers_follow
from apps.nlp.services.classifiers import classifier_create
from apps.tenants.pruning import retention_run
from apps.tenants.services import organization_create
from apps.tenants.sweeping import files_sweep
from apps.translation.models import MemoryTerm, MemoryUnit, TranslatedDocument
from apps.translation.services.documents import document_create, documents_prune
from apps.translation.services.memory import memory_add, memory_terms_follow
from apps.usage.models import IdempotencyRecord
from apps.usage.services import idempotency_prune
from nlpsuite.celery import app as celery_app
from tests import fakes
from tests.at_once import at_once
from tests.matrix.rows import MODELS, rows_of

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = "Pallets leave the yard every Tuesday and Friday before noon. Stone tiles travel on pallets."
# What a run may do differently without doing anything twice: identities, times, how often it was tried. A second attempt
# that finds everything said already does not know which `model` of a reply said it.
VARYING = frozenset({"attempts", "head", "model", "note", "rate_per_s", "reason", "why"})


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels())


@pytest.fixture(scope="module", autouse=True)
def _all_tasks() -> None:
    """Celery imports the modules of tasks when a worker starts."""
    celery_app.loader.import_default_modules()


@pytest.fixture(autouse=True)
def hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test is the broker."""
    monkeypatch.setattr("apps.jobs.services.enqueue.broker_hint", lambda job_id, queue: None)
    monkeypatch.setattr("apps.jobs.services.sweep.broker_hint", lambda job_id, queue: None)


def _tenant() -> uuid.UUID:
    tenant_id = organization_create(name="Acme", slug=f"acme-{uuid.uuid4().hex[:8]}").id
    inbox_create(tenant_id=tenant_id, name="Website")
    return tenant_id


def _state(tenant_id: uuid.UUID) -> dict[str, Any]:
    """Every row without its identity and times, and the stored files."""
    dropped = {
        f.attname for m in MODELS for f in m._meta.concrete_fields if type(f).__name__ in {"DateTimeField", "UUIDField"}
    }
    found = {
        table: sorted(_anonymous(json.dumps(row, sort_keys=True)) for row in rows)
        for table, rows in rows_of(tenant_id, without=VARYING | frozenset(dropped)).items()
    }
    return {**found, "files": len(_files(tenant_id))}


def _anonymous(text: str) -> str:
    text = re.sub(r"passage\?t=[^\"'#]+", "passage", text)
    text = re.sub(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", "#", text)
    return re.sub(r"wgt_[\w-]+|[0-9a-f]{64}", "#", text)


def _files(tenant_id: uuid.UUID) -> list[str]:
    return default_storage.listdir(str(tenant_id))[1] if default_storage.exists(str(tenant_id)) else []


# -- kinds of jobs: how to make one of each --------------------------------------------------------------------------
def _ingest(tenant_id: uuid.UUID) -> uuid.UUID:
    made = source_create_from_text(tenant_id=tenant_id, title="Shipping", text=TEXT)
    with tenant_scope(tenant_id):
        return Source.objects.get(id=made.id).job_id


def _files_delete(tenant_id: uuid.UUID) -> uuid.UUID:
    name = default_storage.save(f"{tenant_id}/{uuid.uuid4()}", ContentFile(b"x"))
    with tenant_scope(tenant_id):
        return job_enqueue(tenant_id=tenant_id, kind="knowledge.files_delete", payload={"names": [name]})


def _talk(tenant_id: uuid.UUID) -> uuid.UUID:
    job_run(_ingest(tenant_id))
    conversation_id = conversation_create(tenant_id=tenant_id, contact={}).id
    message_post(
        tenant_id=tenant_id, conversation_id=conversation_id, role="contact", text="When do pallets leave the yard?"
    )
    return conversation_id


def _reply(tenant_id: uuid.UUID) -> uuid.UUID:
    reply_start(tenant_id=tenant_id, conversation_id=_talk(tenant_id))
    return JobDispatch.objects.get(tenant_id=tenant_id, status="queued").job_id


def _draft(tenant_id: uuid.UUID) -> uuid.UUID:
    draft = draft_create(tenant_id=tenant_id, conversation_id=_talk(tenant_id), user_id=None)
    return draft_start(tenant_id=tenant_id, draft_id=draft.id)


def _batch(tenant_id: uuid.UUID) -> uuid.UUID:
    made = batch_create_from_items(tenant_id=tenant_id, task="language", items=[TEXT, "", "Guten Morgen zusammen"])
    with tenant_scope(tenant_id):
        return Batch.objects.get(id=made.id).job_id


def _batch_delete(tenant_id: uuid.UUID) -> uuid.UUID:
    job_run(_batch(tenant_id))
    with tenant_scope(tenant_id):
        batch_delete(tenant_id=tenant_id, batch_id=Batch.objects.get().id)
        return JobDispatch.objects.get(tenant_id=tenant_id, status="queued").job_id


def _document(tenant_id: uuid.UUID) -> uuid.UUID:
    document_create(tenant_id=tenant_id, file=SimpleUploadedFile("a.txt", TEXT.encode()), target="pt")
    with tenant_scope(tenant_id):
        return TranslatedDocument.objects.get().job_id


def _train(tenant_id: uuid.UUID) -> uuid.UUID:
    examples = [{"text": f"{word} {TEXT} {number}", "label": word} for word in ("yard", "ship") for number in range(3)]
    classifier_create(tenant_id=tenant_id, name="Places", examples=examples, actor="test")
    return JobDispatch.objects.get(tenant_id=tenant_id, status="queued").job_id


def _old_document(tenant_id: uuid.UUID) -> None:
    job_run(_document(tenant_id))
    with tenant_scope(tenant_id):
        TranslatedDocument.objects.update(expires_at=now())


def _old_batch(tenant_id: uuid.UUID) -> None:
    job_run(_batch(tenant_id))
    with tenant_scope(tenant_id):
        Batch.objects.update(finished_at=now() - timedelta(days=365))


def _annotation(tenant_id: uuid.UUID) -> uuid.UUID:
    conversation_id = conversation_create(tenant_id=tenant_id, contact={}).id
    posted = message_post(tenant_id=tenant_id, conversation_id=conversation_id, role="contact", text="When do they go?")
    return annotation_start(tenant_id=tenant_id, message_id=posted.message.id)


def _summary(tenant_id: uuid.UUID) -> uuid.UUID:
    conversation_id = conversation_create(tenant_id=tenant_id, contact={}).id
    for role in ("contact", "bot", "contact", "agent"):
        message_post(tenant_id=tenant_id, conversation_id=conversation_id, role=role, text=f"{TEXT} So says {role}.")
    job_id = summary_start(tenant_id=tenant_id, conversation_id=conversation_id, reason="resolve")
    assert job_id is not None
    return job_id


def _former(tenant_id: uuid.UUID) -> None:
    """As if another encoder had been the default until now: of the passages' vectors, the messages' and the heads."""
    for job in (_ingest, _annotation, _train):
        job_run(job(tenant_id))
    with tenant_scope(tenant_id):
        ChunkVector.objects.update(space="former@1")
        MessageVector.objects.update(space="former@1")
        VectorSpace.objects.update(serving="former@1")
        ClassifierVersion.objects.update(embedding_model="former")


def _vectors(kind: str) -> Callable[[uuid.UUID], uuid.UUID]:
    def make(tenant_id: uuid.UUID) -> uuid.UUID:
        _former(tenant_id)
        spaces_follow()
        with tenant_scope(tenant_id):
            return Job.objects.get(kind=kind).id

    return make


KINDS: dict[str, Callable[[uuid.UUID], uuid.UUID]] = {
    "analysis.batch_delete": _batch_delete,
    "analysis.batch_run": _batch,
    "analysis.classifier_train": _train,
    "analysis.document_translate": _document,
    "analysis.conversation_summarize": _summary,
    "analysis.message_annotate": _annotation,
    "analysis.vectors_build": _vectors("analysis.vectors_build"),
    "assistant.draft_generate": _draft,
    "assistant.reply_generate": _reply,
    "knowledge.files_delete": _files_delete,
    "knowledge.source_ingest": _ingest,
    "knowledge.vectors_build": _vectors("knowledge.vectors_build"),
}


def test_every_kind_of_job_is_known_here() -> None:
    assert job_kinds() == sorted(KINDS)


def _in_sequence(job_id: uuid.UUID) -> list[bool]:
    return [job_run(job_id), job_run(job_id)]


def _at_once(job_id: uuid.UUID) -> list[bool]:
    return at_once([lambda: job_run(job_id)] * 2)


@contextmanager
def _second_worker_at_the_end(monkeypatch: pytest.MonkeyPatch, job_id: uuid.UUID) -> Iterator[list[int]]:
    """When the first worker is about to write, its lease runs out and another one does the whole work before it."""
    real = JobContext.finishing
    entered: list[int] = []

    def finishing(ctx: JobContext) -> AbstractContextManager[None]:
        if ctx.job_id == job_id:
            entered.append(ctx.attempt)
            if ctx.attempt == 1:
                time.sleep(0.2)  # what was said is in the reply's stream by now
                JobDispatch.objects.filter(job_id=job_id).update(lease_until=now() - timedelta(seconds=1))
                job_run(job_id)
        return real(ctx)

    with monkeypatch.context() as patch:
        patch.setattr(JobContext, "finishing", finishing)
        yield entered


def _once(kind: str) -> dict[str, Any]:
    tenant_id = _tenant()
    job_run(KINDS[kind](tenant_id))
    return _state(tenant_id)


@pytest.mark.parametrize("twice", [_in_sequence, _at_once], ids=["in sequence", "at once"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_job_hinted_twice_acts_once(kind: str, twice: Callable[[uuid.UUID], list[bool]]) -> None:
    tenant_id = _tenant()
    results = twice(KINDS[kind](tenant_id))
    assert sorted(results) == [False, True]
    assert _state(tenant_id) == _once(kind)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_job_that_two_workers_finish_acts_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant_id = _tenant()
    job_id = KINDS[kind](tenant_id)
    with _second_worker_at_the_end(monkeypatch, job_id) as entered:
        job_run(job_id)
    assert entered == [1, 2]
    assert _state(tenant_id) == _once(kind)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_job_has_an_effect_at_all(kind: str) -> None:
    """The control of the tests above: a run changes more than the job's own rows."""
    tenant_id = _tenant()
    job_id = KINDS[kind](tenant_id)
    before = _state(tenant_id)
    job_run(job_id)
    after = _state(tenant_id)
    assert [name for name in after if after[name] != before[name] and not name.startswith("jobs_")] != []


# -- the rest of the tasks -------------------------------------------------------------------------------------------
def _old_records(tenant_id: uuid.UUID) -> None:
    with tenant_scope(tenant_id):
        for age, key in ((timedelta(hours=25), "old"), (timedelta(hours=1), "fresh")):
            record = IdempotencyRecord.objects.create(principal="p", key=key, fingerprint="f", status=201, body={})
            IdempotencyRecord.objects.filter(id=record.id).update(created_at=now() - age)


def _lost_jobs(tenant_id: uuid.UUID) -> None:
    for lease, status in ((None, "queued"), (timedelta(seconds=-1), "running"), (timedelta(seconds=30), "running")):
        with tenant_scope(tenant_id):
            job_id = job_enqueue(tenant_id=tenant_id, kind="knowledge.files_delete", payload={"names": []})
        JobDispatch.objects.filter(job_id=job_id).update(
            status=status, lease_until=now() + lease if lease else None, next_attempt_at=now() - timedelta(seconds=1)
        )


def _old_job(tenant_id: uuid.UUID) -> None:
    job_run(_files_delete(tenant_id))
    with tenant_scope(tenant_id):
        Job.objects.update(finished_at=now() - timedelta(days=365))


def _nobodys_file(tenant_id: uuid.UUID) -> None:
    """As a process leaves it that ends between writing a file and storing its row."""
    name = default_storage.save(f"{tenant_id}/{new_id()}", ContentFile(b"words", name="file"))
    os.utime(default_storage.path(name), (0, 0))


def _without_terms(tenant_id: uuid.UUID) -> None:
    """As a process of the version before writes a conversation and its contact."""
    _talk(tenant_id)
    with tenant_scope(tenant_id):
        ConversationTerm.objects.all().delete()
        Conversation.objects.update(terms_seq=0)
        Contact.objects.update(name="Ada", termed=False)


def _memory_without_terms(tenant_id: uuid.UUID) -> None:
    """As a process of the version before keeps an approved translation."""
    memory_add(tenant_id=tenant_id, source="en", target="pt", units=[("Good morning", "Bom dia")])
    with tenant_scope(tenant_id):
        MemoryTerm.objects.all().delete()
        MemoryUnit.objects.update(termed=False)


def _rated_before(tenant_id: uuid.UUID) -> None:
    """As a process of the version before keeps a thumb and a score."""
    talk = _conversation_of(tenant_id)
    with tenant_scope(tenant_id):
        Rating.objects.create(message_id=talk[1], value=1, comment="good")
        Conversation.objects.filter(id=talk[0]).update(csat_value=4)


def _conversation_of(tenant_id: uuid.UUID) -> tuple[uuid.UUID, uuid.UUID]:
    talk = conversation_create(tenant_id=tenant_id, contact={}).id
    return talk, message_post(tenant_id=tenant_id, conversation_id=talk, role="bot", text=TEXT).message.id


# Each: what to prepare, what to run.
PERIODIC: dict[str, tuple[Callable[[uuid.UUID], None], Callable[[], Any]]] = {
    "apps.analysis.tasks.batches_prune_task": (_old_batch, batches_prune),
    "apps.analysis.tasks.classifiers_follow_task": (_former, classifiers_follow),
    "apps.analysis.tasks.documents_prune_task": (_old_document, documents_prune),
    "apps.analysis.tasks.memory_terms_follow_task": (_memory_without_terms, memory_terms_follow),
    "apps.conversations.tasks.judgements_follow_task": (_rated_before, judgements_follow),
    "apps.conversations.tasks.terms_follow_task": (_without_terms, terms_follow),
    "apps.inference.tasks.spaces_follow_task": (_former, spaces_follow),
    "apps.jobs.tasks.job_sweep_task": (_lost_jobs, jobs_sweep),
    "apps.tenants.tasks.files_sweep_task": (_nobodys_file, files_sweep),
    "apps.tenants.tasks.retention_run_task": (_old_job, retention_run),
    "apps.usage.tasks.idempotency_prune_task": (_old_records, idempotency_prune),
}
# These have tests of their own here.
OTHER_TASKS = {"apps.jobs.tasks.job_run_task", "apps.inference.tasks.infer_task"}


def test_every_task_is_known_here() -> None:
    ours = {name for name in celery_app.tasks if name.startswith(("apps.", "nlpsuite."))}
    assert ours == set(PERIODIC) | OTHER_TASKS


@pytest.mark.parametrize("name", sorted(PERIODIC))
def test_a_periodic_task_acts_once(name: str) -> None:
    prepare, run = PERIODIC[name]
    states = []
    for runner in (lambda: run(), lambda: [run(), run()], lambda: at_once([run, run])):
        tenant_id = _tenant()
        prepare(tenant_id)
        before = _state(tenant_id)
        runner()
        states.append((_state(tenant_id), before == _state(tenant_id)))
    assert states == [(states[0][0], False)] * 3


def test_the_run_task_runs_the_job() -> None:
    tenant_id = _tenant()
    job_id = _files_delete(tenant_id)
    task = celery_app.tasks["apps.jobs.tasks.job_run_task"]
    assert [task(str(job_id)), task(str(job_id))] == [None, None]
    assert _files(tenant_id) == []


@pytest.mark.parametrize("at_the_same_moment", [False, True])
def test_a_call_from_another_process_is_answered_once(
    monkeypatch: pytest.MonkeyPatch, at_the_same_moment: bool
) -> None:
    monkeypatch.setattr(answering, "local_engine", object)
    computed: list[list[str]] = []

    def run_local(engine: object, role: str, items: list[str], *_: object) -> dict[str, object]:
        computed.append(items)
        return {"values": [[1.0]], "truncated": (), "tokens": 1, "labels": ()}

    monkeypatch.setattr(answering, "run_local", run_local)
    tenant_id, request_id = uuid.uuid4(), str(uuid.uuid4())
    payload = {"kind": "batch", "role": "embedding", "items": ["a"], "model": "", "priority": "live"}
    payload |= {"deadline_at": now().timestamp() + 30}
    redis_client().set(payload_key(tenant_id, request_id), json.dumps(payload))
    task = celery_app.tasks["apps.inference.tasks.infer_task"]
    works = [lambda: task(str(tenant_id), request_id)] * 4
    done = at_once(works) if at_the_same_moment else [work() for work in works]
    assert done == [None] * 4
    assert redis_client().xlen(stream_key(tenant_id, request_id)) == 1
    assert computed == [["a"]]


def test_nothing_is_scheduled_in_the_broker_for_long() -> None:
    """B4: what beat sends expires within minutes, and no task of ours has a countdown."""
    schedule = celery_app.conf.beat_schedule
    assert {name for name, entry in schedule.items() if entry["options"]["expires"] > 600} == set()
    assert {entry["task"] for entry in schedule.values()} <= set(PERIODIC) | OTHER_TASKS
