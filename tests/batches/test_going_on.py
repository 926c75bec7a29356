"""Batches that are killed, paused, cancelled or removed lose and double nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import default_storage

from apps.batches.models import Batch, BatchCell, BatchRow
from apps.batches.selectors.batches import batch_get
from apps.batches.services import batches_prune, chunks, run
from apps.core.clock import now
from apps.core.tenancy import tenant_scope
from apps.jobs.models import JobDispatch
from apps.jobs.services import job_run
from tests.batches.calls import assert_each_once, batch_start, items_of, jobs_run, lines_of
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(BaseException):
    """What a kill looks like from inside: nothing of ours runs after it."""


@pytest.mark.parametrize("where", ["before the commit", "after the commit"])
def test_a_kill_between_any_two_steps_loses_and_doubles_nothing(
    api: ApiClient, tenant: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    batch_id = batch_start(api, items_of(300))
    real, calls = run.chunk_commit, {"n": 0}

    def commit(batch: Batch, chunk: chunks.Chunk) -> None:
        calls["n"] += 1
        real(batch, chunk)
        if calls["n"] in {2, 4, 7} and where == "before the commit":
            raise Killed

    computed = run.chunk_compute

    def compute(*args: Any, **named: Any) -> None:
        if calls["n"] in {2, 4, 7} and where == "after the commit":
            calls["n"] += 1
            raise Killed
        computed(*args, **named)

    monkeypatch.setattr(run, "chunk_commit", commit)
    monkeypatch.setattr(run, "chunk_compute", compute)
    kills = 0
    while JobDispatch.objects.filter(status__in=["queued", "running"]).exists():
        job = JobDispatch.objects.get(status__in=["queued", "running"])
        try:
            job_run(job.job_id)
        except Killed:
            kills += 1
            JobDispatch.objects.filter(job_id=job.job_id).update(lease_until=now() - timedelta(seconds=1))
    assert kills == 3
    assert_each_once(tenant.id, batch_id, 300)
    assert batch_get(tenant_id=tenant.id, batch_id=batch_id).status == "done"


def test_two_workers_on_one_batch_double_nothing(api: ApiClient, tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = batch_start(api, items_of(100))
    real, entered = run.chunk_compute, {"n": 0}

    def compute(*args: Any, **named: Any) -> None:
        real(*args, **named)
        entered["n"] += 1
        if entered["n"] == 2:  # the lease runs out here, and another worker does all the rest
            job = JobDispatch.objects.get(status="running")
            JobDispatch.objects.filter(job_id=job.job_id).update(lease_until=now() - timedelta(seconds=1))
            job_run(job.job_id)

    monkeypatch.setattr(run, "chunk_compute", compute)
    jobs_run()
    assert_each_once(tenant.id, batch_id, 100)


def test_a_long_batch_gives_way_and_goes_on(api: ApiClient, tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SLICE_S", 0.0)
    monkeypatch.setattr(run, "FIRST_CHUNK_ROWS", 1)
    batch_id = batch_start(api, items_of(5))
    assert jobs_run() == 5  # a chunk is the least that a job does
    assert_each_once(tenant.id, batch_id, 5)


def test_a_paused_batch_does_nothing_and_goes_on_where_it_was(
    api: ApiClient, tenant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = batch_start(api, items_of(300))
    real = run.chunk_commit

    def commit(batch: Batch, chunk: chunks.Chunk) -> None:
        real(batch, chunk)
        monkeypatch.setattr(run, "chunk_commit", real)
        paused.append(batch.position)

    paused: list[int] = []
    monkeypatch.setattr(run, "chunk_commit", commit)
    real_compute = run.chunk_compute

    def compute(*args: Any, **named: Any) -> None:
        if paused and len(paused) == 1:
            paused.append(api.post(f"/jobs/{batch_id}/pause").status_code)
        real_compute(*args, **named)

    monkeypatch.setattr(run, "chunk_compute", compute)
    jobs_run()
    info = api.get(f"/jobs/{batch_id}").json()
    assert (info["status"], info["done"], paused[1]) == ("paused", paused[0], 200)
    assert api.post(f"/jobs/{batch_id}/pause").json()["error"]["code"] == "batch_not_running"
    assert api.post(f"/jobs/{batch_id}/resume").json()["status"] == "queued"
    jobs_run()
    assert_each_once(tenant.id, batch_id, 300)


def test_a_cancelled_batch_keeps_what_is_done(api: ApiClient, tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = batch_start(api, items_of(300))
    real = run.chunk_compute

    def compute(*args: Any, **named: Any) -> None:
        if batch_get(tenant_id=tenant.id, batch_id=batch_id).done:
            api.delete(f"/jobs/{batch_id}")
        real(*args, **named)

    monkeypatch.setattr(run, "chunk_compute", compute)
    jobs_run()
    info = api.get(f"/jobs/{batch_id}").json()
    assert info["status"] == "cancelled"
    assert len(lines_of(api, batch_id)) == info["done"] == run.FIRST_CHUNK_ROWS
    assert api.delete(f"/jobs/{batch_id}").json()["status"] == "cancelled"
    assert api.post(f"/jobs/{batch_id}/resume").json()["error"]["code"] == "batch_not_paused"


def test_a_purged_batch_is_gone_at_once_and_its_rows_soon(api: ApiClient, tenant: Any) -> None:
    batch_id = batch_start(api, items_of(30))
    jobs_run()
    assert api.delete(f"/jobs/{batch_id}?purge=true").status_code == 204
    assert api.get(f"/jobs/{batch_id}").json()["error"]["code"] == "batch_not_found"
    assert api.get("/jobs").json()["items"] == []
    jobs_run()
    with tenant_scope(tenant.id):
        assert (Batch.objects.count(), BatchRow.objects.count(), BatchCell.objects.count()) == (0, 0, 0)
    assert default_storage.listdir(str(tenant.id))[1] == []


def test_old_batches_and_forgotten_drafts_are_removed(api: ApiClient, tenant: Any) -> None:
    old, fresh = batch_start(api, ["a text"]), batch_start(api, ["a text"])
    jobs_run()
    with tenant_scope(tenant.id):
        Batch.objects.filter(id=old).update(finished_at=now() - timedelta(days=91))
        draft = Batch.objects.create(name="draft", format="csv")
        Batch.objects.filter(id=draft.id).update(created_at=now() - timedelta(days=2))
    assert batches_prune() == 2
    jobs_run()
    assert [item["id"] for item in api.get("/jobs").json()["items"]] == [fresh]
