"""Stopping, going on, removing."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

from apps.batches.access import access_batch_by_id
from apps.batches.models import Batch, BatchCell, BatchRow
from apps.batches.selectors.batches import batch_get
from apps.batches.services.create import QUEUE, batch_enqueue
from apps.batches.services.files import files_delete_of
from apps.batches.types import ACTIVE, ENDED, BatchInfo
from apps.core.clock import now
from apps.core.errors import Conflict
from apps.core.tenancy import tenant_scope
from apps.events.services import audit_record
from apps.jobs.services import JobContext, job_cancel, job_enqueue
from apps.tenants.selectors import organization_ids, organization_settings

# Kept from the app that it came from: jobs that wait, and processes of the version before, know it by this name.
DELETE = "analysis.batch_delete"
# So many rows go in one transaction, which stays far below the database's time limit.
DELETE_ROWS = 10_000
DRAFT_KEPT = timedelta(days=1)


def batch_pause(*, tenant_id: uuid.UUID, batch_id: object, actor: str = "") -> BatchInfo:
    """Stop after the rows that are done; `batch_resume` goes on with the next. Raises NotFound, Conflict
    "batch_not_running"."""
    return _stop(tenant_id, batch_id, Batch.Status.PAUSED, actor)


def batch_cancel(*, tenant_id: uuid.UUID, batch_id: object, actor: str = "") -> BatchInfo:
    """End a batch; what is done stays. One that has ended is left as it is. Raises NotFound."""
    return _stop(tenant_id, batch_id, Batch.Status.CANCELLED, actor)


def _stop(tenant_id: uuid.UUID, batch_id: object, status: Batch.Status, actor: str) -> BatchInfo:
    with tenant_scope(tenant_id):
        batch = access_batch_by_id(tenant_id, batch_id, lock=True)
        cancelling = status == Batch.Status.CANCELLED
        if batch.status in ACTIVE or (cancelling and batch.status in {Batch.Status.PAUSED, Batch.Status.DRAFT}):
            if batch.job_id:
                job_cancel(tenant_id=tenant_id, job_id=batch.job_id)
            batch.status = status
            batch.finished_at = now() if cancelling else None
            batch.save(update_fields=["status", "finished_at"])
            audit_record(action=f"batch.{status}", actor=actor, target=str(batch.id), data={"name": batch.name})
        elif not cancelling:
            raise Conflict("The batch does not run.", code="batch_not_running")
    return batch_get(tenant_id=tenant_id, batch_id=batch.id)


def batch_resume(*, tenant_id: uuid.UUID, batch_id: object, actor: str = "") -> BatchInfo:
    """Go on with a batch that was paused or has failed, after the rows that are done. Raises NotFound, Conflict
    "batch_not_paused"."""
    with tenant_scope(tenant_id):
        batch = access_batch_by_id(tenant_id, batch_id, lock=True)
        if batch.status not in {Batch.Status.PAUSED, Batch.Status.FAILED}:
            raise Conflict("Only a paused or failed batch can go on.", code="batch_not_paused")
        batch.finished_at = None
        batch_enqueue(batch)
        batch.save()
        audit_record(action="batch.resumed", actor=actor, target=str(batch.id), data={"name": batch.name})
    return batch_get(tenant_id=tenant_id, batch_id=batch.id)


def batch_delete(*, tenant_id: uuid.UUID, batch_id: object, actor: str = "") -> None:
    """Stop a batch and remove it with its rows and files. It is gone for everybody at once; rows go in the background.

    Raises NotFound.
    """
    with tenant_scope(tenant_id):
        batch = access_batch_by_id(tenant_id, batch_id, lock=True)
        _delete(batch)
        audit_record(action="batch.deleted", actor=actor, target=str(batch.id), data={"name": batch.name})


def _delete(batch: Batch) -> None:
    if batch.job_id:
        job_cancel(tenant_id=batch.tenant_id, job_id=batch.job_id)
    payload = {"batch_id": str(batch.id)}
    batch.status = Batch.Status.DELETING
    batch.job_id = job_enqueue(tenant_id=batch.tenant_id, kind=DELETE, payload=payload, queue=QUEUE)
    batch.save(update_fields=["status", "job_id"])


def batch_delete_run(ctx: JobContext) -> None:
    """Job handler `analysis.batch_delete`: remove rows a part at a time, then files, then the batch."""
    batch_id = uuid.UUID(ctx.payload["batch_id"])
    while _rows_delete(ctx.tenant_id, batch_id, ctx.check):
        pass
    files_delete_of(ctx.tenant_id, batch_id)
    with ctx.finishing():
        Batch.objects.filter(id=batch_id, status=Batch.Status.DELETING)._raw_delete("default")


def _rows_delete(tenant_id: uuid.UUID, batch_id: uuid.UUID, check: Callable[[], None]) -> bool:
    """Remove some rows; returns whether there were any."""
    check()
    with tenant_scope(tenant_id):
        rows = BatchRow.objects.filter(batch_id=batch_id)
        first = rows.order_by("position").values_list("position", flat=True).first()
        if first is not None:
            rows.filter(position__lt=first + DELETE_ROWS)._raw_delete("default")
            return True
        # Up to as many as rows, where labels, sources, topics and days are many.
        cells = BatchCell.objects.filter(batch_id=batch_id)
        some = list(cells.values_list("id", flat=True)[:DELETE_ROWS])
        cells.filter(id__in=some)._raw_delete("default")
        return bool(some)


def batches_prune() -> int:
    """Remove batches that ended longer ago than their organisation keeps them, and drafts after a day; returns how
    many."""
    removed = 0
    for tenant_id in organization_ids():
        kept = timedelta(days=organization_settings(tenant_id=tenant_id)["batch_retention_days"])
        with tenant_scope(tenant_id):
            old = Batch.objects.filter(status__in=ENDED, finished_at__lt=now() - kept)
            drafts = Batch.objects.filter(status=Batch.Status.DRAFT, created_at__lt=now() - DRAFT_KEPT)
            for batch in [*old.select_for_update()[:500], *drafts.select_for_update()[:500]]:
                _delete(batch)
                removed += 1
    return removed
