"""What a job holds while it works and while it ends: as little as possible, in one order."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connection

from apps.jobs.services import JobContext, job_cancel, job_run
from apps.jobs.services import run as run_module
from tests.jobs.conftest import Bench


def _elsewhere(work: Any) -> bool:
    """Whether `work` ends within 2 s on another connection."""

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(2)
    return not thread.is_alive()


def test_a_cancellation_does_not_wait_for_the_effects_of_a_job(transactional_db: None, bench: Bench) -> None:
    """Who cancels holds what the effects need (a conversation, a source): waiting here would be a deadlock."""
    ended: list[bool] = []

    def handler(ctx: JobContext) -> None:
        with ctx.finishing():
            ended.append(_elsewhere(lambda: job_cancel(tenant_id=ctx.tenant_id, job_id=ctx.job_id)))
            bench.effect(ctx)

    bench.handle(handler)
    job_id = bench.enqueue()
    bench.run(job_id)
    assert ended == [True]
    assert (bench.info(job_id).status, len(bench.effects())) == ("done", 1)


def test_the_end_hook_runs_before_the_job_is_locked(
    transactional_db: None, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[bool] = []

    def hook(ctx: JobContext, status: str, code: str) -> None:
        ended.append(_elsewhere(lambda: job_cancel(tenant_id=ctx.tenant_id, job_id=ctx.job_id)))

    monkeypatch.setitem(run_module._end_hooks, "test.kind", hook)

    def handler(ctx: JobContext) -> None:
        raise ValueError

    bench.handle(handler)
    monkeypatch.setattr(run_module, "MAX_ATTEMPTS", 1)
    job_id = bench.enqueue()
    bench.run(job_id)
    assert (ended, bench.info(job_id).status) == ([True], "dead")


def test_the_hook_of_a_job_that_is_somebody_elses_has_no_effect(
    transactional_db: None, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(run_module._end_hooks, "test.kind", lambda ctx, status, code: bench.effect(ctx))
    monkeypatch.setattr(run_module, "MAX_ATTEMPTS", 1)

    def handler(ctx: JobContext) -> None:
        ctx._mine().update(lease_token=None)
        raise ValueError

    bench.handle(handler)
    job_id = bench.enqueue()
    bench.run(job_id)
    assert bench.effects() == []


def test_renewing_the_lease_keeps_no_connection(
    transactional_db: None, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty-four threads share twenty connections."""
    monkeypatch.setattr(run_module, "HEARTBEAT_S", 0.05)
    least = [99]

    def handler(ctx: JobContext) -> None:
        connection.close()
        time.sleep(0.3)  # the lease is renewed several times
        give_up = time.monotonic() + 30
        while least[0] and time.monotonic() < give_up:
            found = connection.pool.get_stats()
            least[0] = min(least[0], found["pool_size"] - found["pool_available"])
            time.sleep(0.005)

    bench.handle(handler)
    assert job_run(bench.enqueue())
    assert least == [0]
