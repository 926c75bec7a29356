"""Durable work: claimed once, kept by a lease, finished with its effects or not at all."""

from __future__ import annotations

import threading
import time
import uuid
from datetime import timedelta
from typing import Any

import pytest

from apps.core.clock import now
from apps.core.errors import Busy, Cancelled, Invalid
from apps.core.tenancy import tenant_scope
from apps.jobs.models import Job, JobDispatch
from apps.jobs.services import JobContext, job_cancel, job_enqueue, job_get, jobs_sweep
from apps.jobs.services import run as run_module
from apps.jobs.services.run import MAX_ATTEMPTS
from apps.jobs.types import LeaseLost
from tests.at_once import at_once
from tests.jobs.conftest import Bench


def _expire(job_id: uuid.UUID) -> None:
    JobDispatch.objects.filter(job_id=job_id).update(lease_until=now() - timedelta(seconds=1))


def _finishes(bench: Bench) -> None:
    def handler(ctx: JobContext) -> None:
        with ctx.finishing():
            bench.effect(ctx)

    bench.handle(handler)


# -- running ---------------------------------------------------------------------------------------------------------
def test_a_job_is_done_with_its_effects(bench: Bench) -> None:
    _finishes(bench)
    job_id = bench.enqueue()
    assert bench.run(job_id) is True
    assert (bench.info(job_id).status, bench.info(job_id).progress, bench.effects()) == ("done", 1.0, [str(job_id)])


def test_a_job_runs_once_however_often_it_is_hinted(bench: Bench) -> None:
    _finishes(bench)
    job_id = bench.enqueue()
    assert [bench.run(job_id) for _ in range(3)] == [True, False, False]
    assert len(bench.effects()) == 1


def test_one_of_many_workers_claims_it(transactional_db: None, bench: Bench) -> None:
    _finishes(bench)
    job_id = bench.enqueue()
    results = at_once([lambda: bench.run(job_id)] * 8)
    assert sorted(results) == [False] * 7 + [True]
    assert len(bench.effects()) == 1


def test_a_running_job_cannot_be_claimed(bench: Bench) -> None:
    second: list[bool] = []
    bench.handle(lambda ctx: second.append(bench.run(ctx.job_id)))
    bench.run(bench.enqueue())
    assert second == [False]


def test_an_expired_lease_can_be_claimed_and_the_first_worker_keeps_nothing(bench: Bench) -> None:
    def handler(ctx: JobContext) -> None:
        if ctx.attempt == 1:
            _expire(ctx.job_id)
            assert bench.run(ctx.job_id) is True
        with ctx.finishing():
            bench.effect(ctx)

    bench.handle(handler)
    job_id = bench.enqueue()
    bench.run(job_id)
    assert (bench.info(job_id).status, bench.info(job_id).attempts, len(bench.effects())) == ("done", 2, 1)


def test_finishing_rolls_back_when_the_lease_is_lost_meanwhile(bench: Bench) -> None:
    def handler(ctx: JobContext) -> None:
        with ctx.finishing():
            bench.effect(ctx)
            JobDispatch.objects.filter(job_id=ctx.job_id).update(lease_token=uuid.uuid4())

    bench.handle(handler)
    job_id = bench.enqueue()
    bench.run(job_id)
    assert bench.effects() == []
    assert bench.info(job_id).status == "running"


def test_finishing_rolls_back_when_an_effect_fails(bench: Bench) -> None:
    def handler(ctx: JobContext) -> None:
        with ctx.finishing():
            bench.effect(ctx)
            raise ZeroDivisionError

    bench.handle(handler)
    job_id = bench.enqueue()
    bench.run(job_id)
    assert (bench.effects(), bench.info(job_id).status) == ([], "queued")


def test_check_says_when_the_job_is_somebody_elses(bench: Bench) -> None:
    seen: list[type[BaseException]] = []

    def handler(ctx: JobContext) -> None:
        JobDispatch.objects.filter(job_id=ctx.job_id).update(lease_token=uuid.uuid4())
        try:
            ctx.check()
        except LeaseLost as error:
            seen.append(type(error))
            raise

    bench.handle(handler)
    bench.run(bench.enqueue())
    assert seen == [LeaseLost]


def test_the_heartbeat_renews_the_lease(transactional_db: None, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "HEARTBEAT_S", 0.05)
    leases: list[Any] = []

    def handler(ctx: JobContext) -> None:
        for _ in range(2):
            leases.append(bench.dispatch(ctx.job_id).lease_until)
            time.sleep(0.3)

    bench.handle(handler)
    bench.run(bench.enqueue())
    assert leases[1] > leases[0]


def test_a_heartbeat_without_its_row_tells_the_work(
    transactional_db: None, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "HEARTBEAT_S", 0.05)
    told = threading.Event()

    def handler(ctx: JobContext) -> None:
        JobDispatch.objects.filter(job_id=ctx.job_id).update(lease_token=uuid.uuid4())
        if ctx.lost.wait(3):
            told.set()

    bench.handle(handler)
    bench.run(bench.enqueue())
    assert told.is_set()


def test_progress_is_shown_while_it_runs(bench: Bench) -> None:
    shown: list[Any] = []

    def handler(ctx: JobContext) -> None:
        ctx.progress(3, 4, "three of four")
        shown.append(bench.info(ctx.job_id))

    bench.handle(handler)
    bench.run(bench.enqueue())
    assert (shown[0].status, shown[0].progress, shown[0].note) == ("running", 0.75, "three of four")


# -- failing ---------------------------------------------------------------------------------------------------------
def test_a_refusal_ends_the_job_with_its_code(bench: Bench) -> None:
    def handler(ctx: JobContext) -> None:
        raise Invalid("No.", code="nope")

    bench.handle(handler)
    job_id = bench.enqueue()
    bench.run(job_id)
    found = bench.info(job_id)
    assert (found.status, found.error_code, found.error_message, found.attempts) == ("failed", "nope", "No.", 1)


def test_a_handler_may_end_as_failed_with_effects(bench: Bench) -> None:
    def handler(ctx: JobContext) -> None:
        with ctx.finishing():
            bench.effect(ctx)
            ctx.fail("half", "Half of it.")

    bench.handle(handler)
    job_id = bench.enqueue()
    bench.run(job_id)
    assert (bench.info(job_id).status, bench.info(job_id).error_code, len(bench.effects())) == ("failed", "half", 1)


@pytest.mark.parametrize("error", [Busy(), ZeroDivisionError()])
def test_what_may_pass_is_tried_again_after_a_wait(bench: Bench, error: Exception) -> None:
    def handler(ctx: JobContext) -> None:
        raise error

    bench.handle(handler)
    job_id = bench.enqueue()
    bench.run(job_id)
    assert bench.dispatch(job_id).status == "queued"
    assert bench.dispatch(job_id).next_attempt_at > now()


def test_a_job_that_always_fails_is_dead_after_five_attempts(bench: Bench) -> None:
    tried: list[int] = []

    def handler(ctx: JobContext) -> None:
        tried.append(ctx.attempt)
        raise ZeroDivisionError

    bench.handle(handler)
    job_id = bench.enqueue()
    for _ in range(8):
        bench.run(job_id)
    found = bench.info(job_id)
    assert tried == [1, 2, 3, 4, 5]
    assert (found.status, found.error_code) == ("dead", "attempts_exhausted")


def test_a_job_that_kills_its_process_is_dead_after_five_attempts(bench: Bench) -> None:
    """Poison: nothing is caught, the lease runs out, the sweeper hints again. The sixth claim runs no handler."""
    tried: list[int] = []

    def handler(ctx: JobContext) -> None:
        tried.append(ctx.attempt)
        raise SystemExit

    bench.handle(handler)
    job_id = bench.enqueue()
    for _ in range(8):
        try:
            bench.run(job_id)
        except SystemExit:
            _expire(job_id)
            jobs_sweep()
    assert tried == list(range(1, MAX_ATTEMPTS + 1))
    assert bench.info(job_id).status == "dead"


def test_a_poison_job_does_not_block_the_others(bench: Bench) -> None:
    poison = bench.enqueue()

    def handler(ctx: JobContext) -> None:
        if ctx.job_id == poison:
            raise SystemExit
        with ctx.finishing():
            bench.effect(ctx)

    bench.handle(handler)
    others = [bench.enqueue() for _ in range(20)]
    with pytest.raises(SystemExit):
        bench.run(poison)
    assert [bench.run(job_id) for job_id in others] == [True] * 20
    assert sorted(bench.effects()) == sorted(str(job_id) for job_id in others)


def test_the_end_hook_is_told_in_the_same_transaction(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []
    monkeypatch.setitem(run_module._end_hooks, "test.kind", lambda ctx, status, code: seen.append((status, code)))

    def handler(ctx: JobContext) -> None:
        raise Invalid(code="nope")

    bench.handle(handler)
    bench.run(bench.enqueue())
    assert seen == [("failed", "nope")]


def test_a_failing_end_hook_ends_nothing_halfway(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def hook(ctx: JobContext, status: str, code: str) -> None:
        bench.effect(ctx)
        raise ZeroDivisionError

    def handler(ctx: JobContext) -> None:
        raise Invalid

    monkeypatch.setitem(run_module._end_hooks, "test.kind", hook)
    bench.handle(handler)
    job_id = bench.enqueue()
    bench.run(job_id)
    assert (bench.effects(), bench.info(job_id).status) == ([], "queued")


def test_an_end_hook_that_always_fails_does_not_keep_its_job_for_ever(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweeper would give it back to a worker every half minute, for good."""
    calls: list[str] = []

    def hook(ctx: JobContext, status: str, code: str) -> None:
        calls.append(status)
        raise ZeroDivisionError

    def handler(ctx: JobContext) -> None:
        raise Invalid

    monkeypatch.setitem(run_module._end_hooks, "test.kind", hook)
    bench.handle(handler)
    job_id = bench.enqueue()
    ran = [bench.run(job_id) for _ in range(MAX_ATTEMPTS + run_module.HOOK_ATTEMPTS + 3)]
    assert len(calls) == sum(ran) == MAX_ATTEMPTS + run_module.HOOK_ATTEMPTS
    assert (bench.info(job_id).status, bench.info(job_id).error_code) == ("dead", "end_hook_failed")


# -- old and new code together ---------------------------------------------------------------------------------------
def test_a_job_of_a_newer_version_waits_for_its_code(bench: Bench) -> None:
    """Old worker, new web: five quick attempts would have been its death."""
    _finishes(bench)
    newer = bench.handlers.pop("test.kind")
    job_id = bench.enqueue()
    for _ in range(MAX_ATTEMPTS + 3):
        assert bench.run(job_id) is True
    waiting = bench.dispatch(job_id)
    assert (waiting.status, waiting.attempts, waiting.next_attempt_at > now()) == ("queued", 1, True)
    bench.handlers["test.kind"] = newer
    bench.run(job_id)
    assert (bench.info(job_id).status, len(bench.effects())) == ("done", 1)


def test_a_job_whose_code_never_comes_is_dead_after_a_week(bench: Bench) -> None:
    bench.handlers.pop("test.kind")
    job_id = bench.enqueue()
    with tenant_scope(bench.tenant_id):
        Job.objects.filter(id=job_id).update(created_at=now() - run_module.UNKNOWN_KEPT - timedelta(hours=1))
    bench.run(job_id)
    assert (bench.info(job_id).status, bench.info(job_id).error_code) == ("dead", "kind_unknown")


# -- cancelling ------------------------------------------------------------------------------------------------------
def test_a_queued_job_is_cancelled_at_once(bench: Bench) -> None:
    _finishes(bench)
    job_id = bench.enqueue()
    job_cancel(tenant_id=bench.tenant_id, job_id=job_id)
    assert bench.run(job_id) is False
    assert (bench.info(job_id).status, bench.effects()) == ("cancelled", [])


def test_a_running_job_stops_at_its_next_check(bench: Bench) -> None:
    reached: list[str] = []

    def handler(ctx: JobContext) -> None:
        job_cancel(tenant_id=ctx.tenant_id, job_id=ctx.job_id)
        reached.append("before")
        ctx.check()
        reached.append("after")

    bench.handle(handler)
    job_id = bench.enqueue()
    bench.run(job_id)
    assert (reached, bench.info(job_id).status, bench.info(job_id).error_code) == (["before"], "cancelled", "cancelled")


def test_cancelling_what_has_ended_changes_nothing(bench: Bench) -> None:
    _finishes(bench)
    job_id = bench.enqueue()
    bench.run(job_id)
    job_cancel(tenant_id=bench.tenant_id, job_id=job_id)
    assert bench.info(job_id).status == "done"


def test_a_handler_may_cancel_itself(bench: Bench) -> None:
    def handler(ctx: JobContext) -> None:
        raise Cancelled

    bench.handle(handler)
    job_id = bench.enqueue()
    bench.run(job_id)
    assert bench.info(job_id).status == "cancelled"


# -- sweeping --------------------------------------------------------------------------------------------------------
def _late(job_id: uuid.UUID) -> None:
    JobDispatch.objects.filter(job_id=job_id).update(next_attempt_at=now() - timedelta(seconds=1))


def test_a_lost_hint_is_made_again(bench: Bench) -> None:
    job_id = bench.enqueue(queue="inference")
    bench.hints.clear()
    assert (jobs_sweep(), bench.hints) == (0, [])
    _late(job_id)
    assert (jobs_sweep(), bench.hints) == (1, [(job_id, "inference")])


def test_a_swept_job_is_not_swept_again_at_once(bench: Bench) -> None:
    _late(bench.enqueue())
    assert [jobs_sweep(), jobs_sweep()] == [1, 0]


def test_an_expired_lease_goes_back_to_the_queue(bench: Bench) -> None:
    def handler(ctx: JobContext) -> None:
        raise SystemExit

    bench.handle(handler)
    job_id = bench.enqueue()
    with pytest.raises(SystemExit):
        bench.run(job_id)
    assert jobs_sweep() == 0
    _expire(job_id)
    assert jobs_sweep() == 1
    assert bench.dispatch(job_id).status == "queued"


@pytest.mark.parametrize("status", ["done", "failed", "cancelled", "dead"])
def test_what_has_ended_is_left_alone(bench: Bench, status: str) -> None:
    job_id = bench.enqueue()
    JobDispatch.objects.filter(job_id=job_id).update(
        status=status, next_attempt_at=now() - timedelta(days=1), lease_until=now() - timedelta(days=1)
    )
    assert jobs_sweep() == 0


def test_two_sweepers_hint_each_job_once(transactional_db: None, bench: Bench) -> None:
    ids = [bench.enqueue() for _ in range(30)]
    JobDispatch.objects.update(next_attempt_at=now() - timedelta(seconds=1))
    bench.hints.clear()
    at_once([jobs_sweep] * 4)
    assert sorted(job_id for job_id, _ in bench.hints) == sorted(ids)


def test_a_broker_that_is_away_loses_nothing(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr("apps.jobs.services.enqueue.current_app.send_task", away)
    with tenant_scope(tenant.id):
        job_id = job_enqueue(tenant_id=tenant.id, kind="knowledge.files_delete", payload={"names": []})
    assert job_get(tenant_id=tenant.id, job_id=job_id).status == "queued"


def test_a_job_of_a_deleted_organisation_is_dropped(bench: Bench) -> None:
    job_id = bench.enqueue()
    with tenant_scope(bench.tenant_id):
        Job.objects.filter(id=job_id)._raw_delete("default")
    assert bench.run(job_id) is False
    assert JobDispatch.objects.count() == 0
