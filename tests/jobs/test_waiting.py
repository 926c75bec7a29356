"""Jobs that are made for later: nobody is told of them until they are hastened or their time has come."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from apps.core.clock import now
from apps.core.tenancy import tenant_scope
from apps.jobs.models import JobDispatch
from apps.jobs.services import job_enqueue, job_pick, jobs_hasten, jobs_sweep
from tests.jobs.conftest import Bench

pytestmark = pytest.mark.django_db(transaction=True)


def _hasten(bench: Bench, *keys: str) -> int:
    return jobs_hasten(tenant_id=bench.tenant_id, kind="test.kind", unique_keys=keys)


def test_a_job_for_later_is_hinted_when_it_is_hastened_and_once(bench: Bench) -> None:
    job_id = bench.enqueue(unique_key="k", after_s=60, queue="inference")
    before = list(bench.hints)
    assert [_hasten(bench, "k"), _hasten(bench, "k")] == [1, 0]
    assert (before, bench.hints) == ([], [(job_id, "inference")])


def test_others_wait_on(bench: Bench) -> None:
    bench.enqueue(unique_key="k", after_s=60)
    assert (_hasten(bench, "another"), bench.hints) == (0, [])


def test_the_hint_waits_for_the_commit(bench: Bench) -> None:
    bench.enqueue(unique_key="k", after_s=60)
    with tenant_scope(bench.tenant_id):
        _hasten(bench, "k")
        inside = list(bench.hints)
    assert (inside, len(bench.hints)) == ([], 1)


def test_one_that_runs_is_not_hastened(bench: Bench) -> None:
    job_id = bench.enqueue(unique_key="k", after_s=60)
    bench.run(job_id)
    assert (_hasten(bench, "k"), bench.info(job_id).status) == (0, "done")


def test_a_foreign_one_is_not_hastened(bench: Bench, other_tenant: Any) -> None:
    bench.enqueue(unique_key="k", after_s=60)
    found = jobs_hasten(tenant_id=other_tenant.id, kind="test.kind", unique_keys=["k"])
    assert (found, bench.hints) == (0, [])


def test_the_sweeper_hints_at_it_when_its_time_has_come(bench: Bench) -> None:
    job_id = bench.enqueue(after_s=60)
    early = jobs_sweep()
    JobDispatch.objects.update(next_attempt_at=now() - timedelta(seconds=1))
    assert (early, jobs_sweep(), [hinted for hinted, _ in bench.hints]) == (0, 1, [job_id])


def test_no_hint_of_another_job_is_spent_on_it(bench: Bench, other_tenant: Any) -> None:
    """Fairness would: its organisation has nothing running."""
    with tenant_scope(other_tenant.id):
        waiting = job_enqueue(tenant_id=other_tenant.id, kind="test.kind", payload={}, after_s=60)
    lease = {"status": "running", "attempts": 1, "lease_until": now() + timedelta(seconds=30)}
    taken = bench.enqueue()
    JobDispatch.objects.filter(job_id=taken).update(**lease)
    mine = bench.enqueue()
    assert job_pick(mine) == mine
    with tenant_scope(other_tenant.id):
        ready = job_enqueue(tenant_id=other_tenant.id, kind="test.kind", payload={})
    assert (job_pick(mine), ready != waiting) == (ready, True)


def test_a_second_call_changes_nothing_of_the_first(bench: Bench) -> None:
    first = bench.enqueue(unique_key="k", after_s=60)
    due = bench.dispatch(first).next_attempt_at
    assert bench.enqueue(unique_key="k") == first
    assert (bench.dispatch(first).next_attempt_at, bench.hints) == (due, [])


def test_hastening_nothing_is_no_error(bench: Bench) -> None:
    assert (_hasten(bench), _hasten(bench, str(uuid.uuid4()))) == (0, 0)
