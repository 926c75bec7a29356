"""A job is made once, with the transaction that wants it, and belongs to its organisation."""

from __future__ import annotations

import contextlib
import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest

from apps.core.clock import now
from apps.core.errors import NotFound
from apps.core.tenancy import tenant_scope
from apps.jobs.models import JobDispatch
from apps.jobs.services import JobContext, job_cancel, job_enqueue, job_get
from tests.at_once import at_once
from tests.jobs.conftest import Bench


def _expire(job_id: uuid.UUID) -> None:
    JobDispatch.objects.filter(job_id=job_id).update(lease_until=now() - timedelta(seconds=1))


def _finishes(bench: Bench) -> None:
    def handler(ctx: JobContext) -> None:
        with ctx.finishing():
            bench.effect(ctx)

    bench.handle(handler)


def test_a_job_is_hinted_after_the_commit(transactional_db: None, bench: Bench) -> None:
    with tenant_scope(bench.tenant_id):
        job_id = bench.enqueue(queue="inference")
        inside = list(bench.hints)
    assert (inside, bench.hints) == ([], [(job_id, "inference")])


def test_a_rolled_back_job_never_was(transactional_db: None, bench: Bench) -> None:
    with contextlib.suppress(ZeroDivisionError), tenant_scope(bench.tenant_id):
        bench.enqueue()
        raise ZeroDivisionError
    assert (bench.hints, JobDispatch.objects.count()) == ([], 0)


def test_a_unique_key_makes_one_job(bench: Bench) -> None:
    assert bench.enqueue(unique_key="k") == bench.enqueue(unique_key="k")
    assert JobDispatch.objects.count() == 1


def test_a_second_call_with_a_key_waits_for_the_first_and_takes_its_job(transactional_db: None, bench: Bench) -> None:
    """Between a look and a write of its own it would have met the first one's row, and failed."""
    written, go_on = threading.Event(), threading.Event()

    def first() -> uuid.UUID:
        with tenant_scope(bench.tenant_id):
            job_id = bench.enqueue(unique_key="k")
            written.set()
            go_on.wait(20)
        return job_id

    def second() -> uuid.UUID:
        written.wait(20)
        threading.Timer(0.5, go_on.set).start()
        return bench.enqueue(unique_key="k")

    found = at_once([first, second])
    assert (found[0], JobDispatch.objects.count(), len(bench.hints)) == (found[1], 1, 1)


def test_many_calls_with_a_key_make_one_job(transactional_db: None, bench: Bench) -> None:
    rounds = [at_once([lambda key=key: bench.enqueue(unique_key=key)] * 6) for key in ("a", "b", "c")]  # type: ignore[misc]
    assert [len(set(found)) for found in rounds] == [1, 1, 1]
    assert JobDispatch.objects.count() == 3


def test_a_key_whose_first_call_was_rolled_back_is_free(transactional_db: None, bench: Bench) -> None:
    with contextlib.suppress(ZeroDivisionError), tenant_scope(bench.tenant_id):
        bench.enqueue(unique_key="k")
        raise ZeroDivisionError
    assert bench.info(bench.enqueue(unique_key="k")).status == "queued"


def test_a_unique_key_belongs_to_its_organisation(bench: Bench, other_tenant: Any) -> None:
    first = bench.enqueue(unique_key="k")
    with tenant_scope(other_tenant.id):
        assert job_enqueue(tenant_id=other_tenant.id, kind="test.kind", payload={}, unique_key="k") != first


def test_a_foreign_job_looks_missing(bench: Bench, other_tenant: Any) -> None:
    job_id = bench.enqueue()
    with pytest.raises(NotFound):
        job_get(tenant_id=other_tenant.id, job_id=job_id)
    job_cancel(tenant_id=other_tenant.id, job_id=job_id)
    assert bench.info(job_id).status == "queued"
