"""Making, cancelling and reading jobs."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from apps.core.clock import now
from apps.core.errors import NotFound
from apps.core.tenancy import tenant_scope
from apps.jobs.models import Job, JobDispatch
from apps.jobs.types import FINAL_STATES, JobInfo

log = structlog.get_logger(__name__)
# A hint that the broker lost is made again by the sweeper after this long.
CLAIM_GRACE_S = 20
RUN_TASK = "apps.jobs.tasks.job_run_task"


def job_enqueue(
    *,
    tenant_id: uuid.UUID,
    kind: str,
    payload: dict[str, Any],
    queue: str = "default",
    unique_key: str = "",
    after_s: float = 0.0,
) -> uuid.UUID:
    """Write a job in the caller's transaction and hint the broker after commit. Returns its id.

    With `unique_key`, a second call with the same kind and key returns the first job's id. With `after_s` the broker is
    not told: the job waits for `jobs_hasten`, or for the sweeper, which comes CLAIM_GRACE_S after that time.
    """
    with tenant_scope(tenant_id):
        job = Job(tenant_id=tenant_id, kind=kind, payload=payload, unique_key=unique_key)
        if unique_key:
            first_id = _insert_once(job)
            if first_id != job.id:
                return first_id
        else:
            job.save(force_insert=True)
        JobDispatch.objects.create(
            job_id=job.id, tenant_id=tenant_id, queue=queue, next_attempt_at=fresh_until() + timedelta(seconds=after_s)
        )
        if not after_s:
            transaction.on_commit(partial(broker_hint, job.id, queue))
    return job.id


def _insert_once(job: Job) -> uuid.UUID:
    """Insert the job unless there is one of its kind and key, in one statement; returns the id of the one there is.

    A call that comes while another's transaction is open waits for it, and takes its job if it commits.
    """
    while True:
        Job.objects.bulk_create([job], ignore_conflicts=True)
        same = Job.objects.filter(kind=job.kind, unique_key=job.unique_key)
        found: uuid.UUID | None = same.values_list("id", flat=True).first()
        if found is not None:  # else it was removed in between
            return found


def fresh_until() -> datetime:
    """Return the `next_attempt_at` of a job that is made now. One that has a later one waits for its time."""
    return now() + timedelta(seconds=CLAIM_GRACE_S)


def jobs_hasten(*, tenant_id: uuid.UUID, kind: str, unique_keys: Collection[str]) -> int:
    """Let jobs of a kind that wait for their time run now, hinted after the commit; returns how many there were."""
    with tenant_scope(tenant_id):
        ids = Job.objects.filter(kind=kind, unique_key__in=unique_keys).values_list("id", flat=True)
        due = fresh_until()
        waiting = JobDispatch.objects.filter(
            job_id__in=list(ids), tenant_id=tenant_id, status="queued", attempts=0, next_attempt_at__gt=due
        )
        found = list(waiting)
        waiting.filter(job_id__in=[row.job_id for row in found]).update(next_attempt_at=due)
        for row in found:
            transaction.on_commit(partial(broker_hint, row.job_id, row.queue))
    return len(found)


def broker_hint(job_id: uuid.UUID, queue: str) -> None:
    """Tell the broker that a job waits. A broker that is away loses nothing: the sweeper hints again."""
    try:
        current_app.send_task(RUN_TASK, args=[str(job_id)], queue=queue, retry=False, ignore_result=True)
    except (OperationalError, RedisError, OSError) as error:
        log.warning("job.hint_lost", job_id=str(job_id), error=type(error).__name__)


def job_cancel(*, tenant_id: uuid.UUID, job_id: uuid.UUID) -> bool:
    """Ask a job to stop: a queued one ends at once, a running one at its next check.

    Returns whether it has ended here. Its kind's end hook is not called then: the caller ends what the job was for.
    """
    with tenant_scope(tenant_id):
        mine = JobDispatch.objects.filter(job_id=job_id, tenant_id=tenant_id)
        if mine.filter(status="queued").update(status="cancelled"):
            Job.objects.filter(id=job_id).update(finished_at=now())
            return True
        mine.filter(status="running").update(cancel_requested=True)
        return False


def job_get(*, tenant_id: uuid.UUID, job_id: uuid.UUID) -> JobInfo:
    """Return a job's state. Raises NotFound."""
    found = jobs_get(tenant_id=tenant_id, job_ids=[job_id]).get(job_id)
    if found is None:
        raise NotFound()
    return found


def jobs_get(*, tenant_id: uuid.UUID, job_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, JobInfo]:
    """Return the states of jobs by id, in two queries; those that are foreign, or removed by now, are not among them."""
    if not job_ids:
        return {}
    with tenant_scope(tenant_id):
        jobs = list(Job.objects.filter(id__in=job_ids))
        rows = {row.job_id: row for row in JobDispatch.objects.filter(job_id__in=job_ids, tenant_id=tenant_id)}
    return {job.id: _info(job, rows[job.id]) for job in jobs if job.id in rows}


def _info(job: Job, dispatch: JobDispatch) -> JobInfo:
    share = min(1.0, job.done / job.total) if job.total else 0.0
    code = job.error_code or ("attempts_exhausted" if dispatch.status == "dead" else "")
    return JobInfo(
        id=job.id,
        kind=job.kind,
        status=dispatch.status,
        done=job.done,
        total=job.total,
        progress=1.0 if dispatch.status == "done" else share,
        note=job.note,
        error_code=code if dispatch.status in FINAL_STATES else "",
        error_message=job.error_message,
        attempts=dispatch.attempts,
    )
