"""B6: an organisation with 20,000 jobs does not keep another one waiting."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from apps.core.clock import now
from apps.jobs.models import JobDispatch
from apps.jobs.services import job_pick
from apps.tenants.models import Organization
from tests.superuser import analyse

pytestmark = pytest.mark.django_db

A, B, C = (uuid.UUID(int=number) for number in (1, 2, 3))


@pytest.fixture(autouse=True)
def _organizations() -> None:
    Organization.objects.bulk_create(
        Organization(id=tenant_id, name=f"Number {number}", slug=f"fair-{number}")
        for number, tenant_id in enumerate((A, B, C))
    )


def add(tenant_id: uuid.UUID, count: int = 1, **fields: object) -> list[uuid.UUID]:
    """Write dispatch rows: the pick looks at nothing else."""
    values = {"tenant_id": tenant_id, "queue": "inference", "next_attempt_at": now() + timedelta(seconds=20), **fields}
    rows = JobDispatch.objects.bulk_create([JobDispatch(job_id=uuid.uuid4(), **values) for _ in range(count)])
    return [row.job_id for row in rows]


def running(tenant_id: uuid.UUID, count: int) -> None:
    add(tenant_id, count, status="running", attempts=1, lease_until=now() + timedelta(seconds=30))


def test_a_hint_runs_its_own_job_when_nobody_else_waits() -> None:
    job, *_ = add(A, 3)
    running(A, 5)
    assert job_pick(job) == job


def test_a_hint_of_the_busy_organisation_is_spent_on_the_idle_one() -> None:
    mine, _ = add(A, 2)
    (other,) = add(B)
    running(A, 3)
    assert job_pick(mine) == other


def test_the_least_busy_of_several_goes_first() -> None:
    (mine,), (second,), (third,) = add(A), add(B), add(C)
    running(A, 3)
    running(B, 2)
    running(C, 1)
    assert job_pick(mine) == third
    JobDispatch.objects.filter(job_id=third).update(status="done")
    assert job_pick(mine) == second


def test_a_hint_whose_job_is_taken_is_spent_on_one_that_waits() -> None:
    (taken,) = add(A, status="running", attempts=1, lease_until=now() + timedelta(seconds=30))
    (waiting,) = add(A)
    assert job_pick(taken) == waiting


def test_jobs_that_wait_for_another_try_and_other_queues_are_left_alone() -> None:
    (mine,) = add(A)
    running(A, 1)
    add(B, attempts=1)
    add(C, queue="default")
    assert job_pick(mine) == mine


@pytest.mark.django_db(transaction=True)
def test_20_jobs_behind_20000_are_next_and_the_pick_stays_cheap() -> None:
    many = add(A, 20_000)
    few = add(B, 20)
    analyse("jobs_jobdispatch")
    began = now()
    order = []
    for hint in many[:60]:
        picked = job_pick(hint)
        order.append(picked)
        JobDispatch.objects.filter(job_id=picked).update(
            status="running", attempts=1, lease_until=now() + timedelta(seconds=30)
        )
    # In turns from the second on: 20 of the other organisation within the first 41.
    assert set(few) <= set(order[:41])
    assert (now() - began).total_seconds() < 10
