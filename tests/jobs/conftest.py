"""Kinds of jobs for the length of a test, and a broker that keeps the hints it was given."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import connection

from apps.core.tenancy import tenant_scope
from apps.events.models import AuditEntry
from apps.events.services import audit_record
from apps.jobs.models import JobDispatch
from apps.jobs.services import JobContext, job_enqueue, job_get, job_run
from apps.jobs.services import run as run_module
from apps.jobs.types import JobInfo


@dataclass
class Bench:
    """One kind of job, `test.kind`, and what became of its jobs."""

    tenant_id: uuid.UUID
    handlers: dict[str, Callable[[JobContext], None]]
    hints: list[tuple[uuid.UUID, str]] = field(default_factory=list)

    def handle(self, handler: Callable[[JobContext], None]) -> None:
        self.handlers["test.kind"] = handler

    def enqueue(self, **extra: Any) -> uuid.UUID:
        with tenant_scope(self.tenant_id):
            return job_enqueue(tenant_id=self.tenant_id, kind="test.kind", payload={}, **extra)

    def run(self, job_id: uuid.UUID) -> bool:
        return job_run(job_id)

    def info(self, job_id: uuid.UUID) -> JobInfo:
        return job_get(tenant_id=self.tenant_id, job_id=job_id)

    def dispatch(self, job_id: uuid.UUID) -> JobDispatch:
        return JobDispatch.objects.get(job_id=job_id)

    def effect(self, ctx: JobContext) -> None:
        """A database effect; call it inside `ctx.finishing()`."""
        audit_record(action="test.effect", actor="test", target=str(ctx.job_id))

    def effects(self) -> list[str]:
        with tenant_scope(self.tenant_id):
            return list(AuditEntry.objects.filter(action="test.effect").values_list("target", flat=True))


@pytest.fixture
def bench(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tenant.id, run_module._handlers)
    monkeypatch.setitem(run_module._handlers, "test.kind", lambda ctx: None)

    def hint(job_id: uuid.UUID, queue: str) -> None:
        made.hints.append((job_id, queue))

    monkeypatch.setattr("apps.jobs.services.enqueue.broker_hint", hint)
    monkeypatch.setattr("apps.jobs.services.sweep.broker_hint", hint)
    if connection.in_atomic_block:
        # The test's own transaction: a worker has none when a job ends.
        monkeypatch.setattr(run_module, "close_old_connections", lambda: None)
    return made
