"""Job handler `analysis.batch_run`: read the file, find topics, then chunk after chunk of rows.

A chunk's results, its counts and the new position are one transaction, which only the holder of the batch's job can
commit, and only from the position it began at: whatever is killed when, no row is lost and none is there twice.
A job works for a minute and then gives way to a job of its own for the rest, so that organisations take turns.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import structlog
from django.db import transaction

from apps.batches.models import Batch
from apps.batches.services.chunks import Chunk, Topics, chunk_commit, chunk_compute
from apps.batches.services.create import QUEUE, RUN
from apps.batches.services.files import ROWS, TOPICS, UPLOAD, file_path, file_save, files_delete_of, rows_from
from apps.batches.services.reading import rows_read, survey_apply
from apps.batches.tables.survey import Survey
from apps.batches.tables.types import TableError
from apps.batches.types import ACTIVE
from apps.core.clock import now
from apps.core.errors import AppError
from apps.core.tenancy import tenant_scope
from apps.events.services import event_record
from apps.jobs.services import JobContext, job_enqueue
from apps.jobs.types import LeaseLost

log = structlog.get_logger(__name__)
SLICE_S = 60.0
# Short: a chunk that has begun is what a person who asks now has to share the processor with.
CHUNK_TARGET_S = 0.25
FIRST_CHUNK_ROWS = 16
MAX_CHUNK_ROWS = 256
MAX_CHUNK_CHARS = 400_000
# The rate that is shown is that of about the last 10 s.
_RATE_WINDOW_S = 10.0


class Stopped(Exception):
    """The batch was paused, cancelled or removed, or has another job: nothing more is this one's to do."""


@dataclass(slots=True)
class _Progress:
    """How fast chunks go."""

    rows: int
    rate_per_s: float
    committed_at: float

    def took(self, rows: int, seconds: float) -> None:
        """Choose the size of the next chunk from what this one took; never more than twice as many."""
        wanted = rows * CHUNK_TARGET_S / max(seconds, 1e-3)
        self.rows = int(max(1, min(MAX_CHUNK_ROWS, self.rows * 2, wanted)))

    def rated(self, rows: int) -> float:
        """Return the rate with `rows` more done now."""
        elapsed = max(time.monotonic() - self.committed_at, 1e-3)
        self.committed_at = time.monotonic()
        weight = 1.0 if self.rate_per_s <= 0 else 1 - math.exp(-elapsed / _RATE_WINDOW_S)
        self.rate_per_s += weight * (rows / elapsed - self.rate_per_s)
        return self.rate_per_s


def batch_run(ctx: JobContext) -> None:
    """Work on the batch `ctx.payload["batch_id"]` for a while. A batch that is not this job's is left alone."""
    try:
        batch = _prepared(ctx)
        position = _work(ctx, batch)
        _finish(ctx, batch, position)
    except Stopped:
        return
    except TableError as error:
        _fail(ctx, error.code, error.message)


@contextmanager
def _mine(ctx: JobContext) -> Iterator[Batch]:
    """Open a transaction with the batch's row locked. Raises Stopped when it is not for this job to go on with."""
    with tenant_scope(ctx.tenant_id):
        batch_id = uuid.UUID(ctx.payload["batch_id"])
        batch = Batch.objects.select_for_update().filter(id=batch_id, job_id=ctx.job_id, status__in=ACTIVE).first()
        if batch is None:
            raise Stopped
        yield batch


# -- before the first row --------------------------------------------------------------------------------------------
def _prepared(ctx: JobContext) -> Batch:
    """Return the batch with its file read; a reading that was cut short begins again."""
    with _mine(ctx) as batch:
        batch.status = Batch.Status.READING if batch.upload_name else Batch.Status.RUNNING
        batch.save(update_fields=["status"])
    if not batch.upload_name:
        return batch
    survey = rows_read(batch, report=partial(_report, ctx))
    names, note = _topics(ctx, batch, survey)
    with _mine(ctx) as batch:
        survey_apply(survey, batch)
        batch.topics, batch.topics_note = names, note
        batch.upload_name, batch.status = "", Batch.Status.RUNNING
        batch.save()
        transaction.on_commit(partial(files_delete_of, batch.tenant_id, batch.id, [UPLOAD]))
    return batch


def _report(ctx: JobContext, rows: int) -> None:
    ctx.check()
    with _mine(ctx) as batch:
        batch.total = rows
        batch.save(update_fields=["total"])


def _topics(ctx: JobContext, batch: Batch, survey: Survey) -> tuple[list[str], str]:
    """Find topics and store how to tell them apart; returns their names, and why there are none."""
    if not batch.wants_topics:
        return [], "not_wanted"
    # scikit-learn takes a second and 60 MB, which the web process has no use for.
    from apps.batches.services.topics import topics_find

    try:
        found = topics_find(survey.sample, tenant_id=ctx.tenant_id, check=ctx.check)
    except AppError as error:
        log.warning("batch.topics_failed", batch_id=str(batch.id), code=error.code)
        ctx.check()
        return [], "failed"
    if found is None:
        return [], "too_few"
    file_save(batch.tenant_id, batch.id, TOPICS, found.content())
    return list(found.names), ""


# -- the rows --------------------------------------------------------------------------------------------------------
def _work(ctx: JobContext, batch: Batch) -> int:
    """Do chunks until the rows or the time are over; returns the position."""
    topics = _topics_kept(batch)
    position, until = batch.position, time.monotonic() + SLICE_S
    # After a process died, the row that may have killed it must not take others with it.
    progress = _Progress(1 if ctx.attempt > 1 else FIRST_CHUNK_ROWS, batch.rate_per_s, time.monotonic())
    with file_path(batch.tenant_id, batch.id, ROWS).open("rb") as file:
        file.seek(batch.offset)
        while position < batch.total:
            began = time.monotonic()
            rows, offset = rows_from(file, most=progress.rows, most_chars=MAX_CHUNK_CHARS)
            if not rows:
                raise TableError("rows_lost", "The file of rows is shorter than it was.")
            chunk = Chunk(position, offset, rows)
            chunk_compute(batch, chunk, topics=topics, check=ctx.check)
            progress.took(len(rows), time.monotonic() - began)
            with _mine(ctx) as fresh:
                # The lease is looked at after the row is locked: whoever has it now waits for us, or has moved on.
                ctx.check()
                if fresh.position != position:
                    raise LeaseLost
                fresh.rate_per_s = progress.rated(len(rows))
                chunk_commit(fresh, chunk)
            position += len(rows)
            if time.monotonic() >= until:
                break
    return position


def _topics_kept(batch: Batch) -> Topics | None:
    if not batch.topics:
        return None
    from apps.batches.services.topics import topics_load

    return topics_load(file_path(batch.tenant_id, batch.id, TOPICS))


# -- after -----------------------------------------------------------------------------------------------------------
def _finish(ctx: JobContext, batch: Batch, position: int) -> None:
    """End the job: with the batch's end, or with a job for the rest."""
    with ctx.finishing(), _mine(ctx) as fresh:
        if position >= fresh.total:
            fresh.status, fresh.finished_at = Batch.Status.DONE, now()
            data = {"name": fresh.name, "task": fresh.task, "total": fresh.total, "failed": fresh.failed}
            event_record(type="batch.finished", subject_type="batch", subject_id=fresh.id, data=data)
            transaction.on_commit(partial(files_delete_of, batch.tenant_id, batch.id))
        else:
            payload = {"batch_id": str(fresh.id)}
            fresh.job_id = job_enqueue(tenant_id=ctx.tenant_id, kind=RUN, payload=payload, queue=QUEUE)
        fresh.save(update_fields=["status", "finished_at", "job_id"])


def _fail(ctx: JobContext, code: str, message: str) -> None:
    try:
        with ctx.finishing(), _mine(ctx) as batch:
            _failed(batch, code, message)
            ctx.fail(code, message)
    except Stopped:
        return


def _failed(batch: Batch, code: str, message: str) -> None:
    batch.status, batch.error_code, batch.error_message = Batch.Status.FAILED, code[:60], message[:500]
    batch.finished_at = now()
    batch.save(update_fields=["status", "error_code", "error_message", "finished_at"])
    data = {"name": batch.name, "task": batch.task, "code": batch.error_code}
    event_record(type="batch.failed", subject_type="batch", subject_id=batch.id, data=data)


def batch_job_ended(ctx: JobContext, status: str, code: str) -> None:
    """End hook: the job failed or died. A batch that was paused or cancelled says so already."""
    try:
        with _mine(ctx) as batch:
            _failed(batch, code or status, "The work could not go on. What is done is kept; it can be resumed.")
    except Stopped:
        return
