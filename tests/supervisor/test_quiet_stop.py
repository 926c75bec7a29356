"""A stop that is in order warns of nothing; with everything at work, tests/backup/test_backup.py stops the product."""

from __future__ import annotations

import logging
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from celery.concurrency import get_implementation
from structlog.testing import capture_logs

import nlpsuite.celery  # noqa: F401  (names the pool)
from apps.jobs.services import run
from nlpsuite.settings.parts.logs import ExpectedStopFilter


def test_the_pool_of_the_workers_can_be_told_to_end_a_task() -> None:
    pool = get_implementation("threads")
    pool.terminate_job(None, "4711", "TERM")


@pytest.mark.parametrize(("stopping", "level"), [(True, "info"), (False, "error")])
def test_what_a_job_raises_at_a_stop_is_no_error(stopping: bool, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def handler(_: Any) -> None:
        raise RuntimeError("the model is stopping")

    requeued: list[Any] = []
    monkeypatch.setitem(run._handlers, "test.stopped", handler)
    monkeypatch.setattr(run, "_requeue", requeued.append)
    monkeypatch.setattr(run, "_stopping", SimpleNamespace(is_set=lambda: stopping))
    ctx = SimpleNamespace(job_id=uuid.uuid4(), tenant_id=uuid.uuid4(), kind="test.stopped", attempt=1)
    with capture_logs() as said:
        run._run_handler(ctx)  # type: ignore[arg-type]
    assert [line["log_level"] for line in said] == [level]
    assert requeued == [ctx]


def test_waiting_for_jobs_at_a_stop_is_not_logged_and_other_warnings_are() -> None:
    def record(text: str) -> logging.LogRecord:
        return logging.LogRecord("celery.worker", logging.WARNING, __file__, 1, text, None, None)

    assert not ExpectedStopFilter().filter(record("Initiating Soft Shutdown, terminating in 2.0 seconds"))
    assert not ExpectedStopFilter().filter(
        record("Requeuing undeliverable message for queue 'inference': No consumers.")
    )
    assert ExpectedStopFilter().filter(record("Connection to broker lost"))
