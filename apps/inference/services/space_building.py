"""Making a space beside the one that serves: a durable job in slices, and the look that starts it.

Nothing is lost when it is killed or cancelled: vectors are written a few at a time, each with its space, and what is
missing is asked of the database again. A space that nobody wants any more is removed in parts by the same job.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

import structlog
from redis.exceptions import RedisError

from apps.core.clock import now
from apps.core.errors import Busy, DeadlineExceeded, Invalid, Unavailable
from apps.core.tenancy import tenant_scope
from apps.events.services import audit_record
from apps.inference.models import VectorSpace
from apps.inference.services.batches import embed_texts
from apps.inference.services.models import default_model
from apps.inference.services.spaces import Row, VectorStore, degraded_note, space_model, stores
from apps.inference.types import ModelInfo
from apps.jobs.services import JobContext, job_enqueue, jobs_get
from apps.jobs.types import FINAL_STATES
from apps.tenants.selectors import organization_ids

log = structlog.get_logger(__name__)
QUEUE = "batch"
EMBED_AT_ONCE = 64
EMBED_DEADLINE_S = 120.0
# After so long the job ends and enqueues another for the rest, as batches do: organisations take turns.
SLICE_S = 60.0
# People come first: so long a slice waits for a model that others keep busy.
PATIENCE_S = 300.0
CLEAR_AT_ONCE = 2_000
# Trying again does not help: an operator has to choose another encoder.
_FINAL_ERRORS = frozenset({"embedding_dimensions"})


def spaces_follow(*, thorough: bool = False) -> int:
    """Start the jobs that bring every organisation's vectors to the default encoder; returns how many were started.

    `thorough` also looks for texts without a vector, which processes of an older version leave, and for vectors that
    nobody reads. Effects: jobs; the number of organisations without the encoder of their vectors, for `/readyz`.
    """
    model = default_model("embedding")
    started = degraded = 0
    for tenant_id in organization_ids():
        for store in stores():
            try:
                begun, by_words = _look(tenant_id, store, model, thorough)
            except Exception:
                # What is wrong with one organisation's rows keeps no other one from its vectors.
                log.exception("spaces.look_failed", tenant_id=str(tenant_id), holder=store.holder)
                continue
            started += begun
            degraded += by_words
    try:
        degraded_note(degraded)
    except RedisError:
        log.debug("Redis is away; /readyz says so by itself")
    return started


def _look(tenant_id: uuid.UUID, store: VectorStore, model: ModelInfo, thorough: bool) -> tuple[bool, bool]:
    """Return whether a job was started, and whether a search goes by words alone."""
    with tenant_scope(tenant_id):
        row = VectorSpace.objects.select_for_update().filter(holder=store.holder).first()
        if row is None:
            return False, False
        started = _follow(row, store, model, thorough)
        return started, space_model(row.serving) is None and store.total(row.serving) > 0


def _follow(row: VectorSpace, store: VectorStore, model: ModelInfo, thorough: bool) -> bool:
    """Set what is to be made for a locked row, and enqueue its job unless one is under way."""
    wanted = model.ref.space
    if (target := "" if wanted == row.serving else wanted) != row.building:
        row.building, row.error_code = target, ""
        row.save()
        thorough = True
    if row.paused or (row.error_code in _FINAL_ERRORS and row.building) or _active(row):
        return False
    if not (row.building or (thorough and _untidy(row, store))):
        return False
    _enqueue(row, store)
    return True


def _untidy(row: VectorSpace, store: VectorStore) -> bool:
    known = space_model(row.serving) is not None
    return (known and bool(store.missing(row.serving, 1))) or store.clear([row.serving], 1) > 0


def _active(row: VectorSpace) -> bool:
    if row.job_id is None:
        return False
    job = jobs_get(tenant_id=row.tenant_id, job_ids=[row.job_id]).get(row.job_id)
    return job is not None and job.status not in FINAL_STATES  # one that ended long ago was pruned


def _enqueue(row: VectorSpace, store: VectorStore) -> None:
    row.job_id = job_enqueue(tenant_id=row.tenant_id, kind=store.kind, payload={"holder": store.holder}, queue=QUEUE)
    row.save(update_fields=["job_id"])


def space_build(ctx: JobContext, store: VectorStore) -> None:
    """Job handler of a holder of vectors: compute what is missing, let the new space serve, remove the old one.

    Raises Invalid "embedding_dimensions" for an encoder whose vectors the store does not hold.
    """
    give_up = time.monotonic() + SLICE_S
    with tenant_scope(ctx.tenant_id):
        row = VectorSpace.objects.filter(holder=store.holder).first()
    if row is None:
        return
    target, done = row.building or row.serving, False
    model = space_model(target)
    if model is not None:
        while not done and time.monotonic() < give_up:
            done = not _step(ctx, store, target, model)
    cleared = _clear(ctx, store, give_up)
    with ctx.finishing():
        row = VectorSpace.objects.select_for_update().get(holder=store.holder)
        if done and row.building == target:
            cleared = not _switch(row, store) and cleared
        unfinished = bool(row.building) or not done
        if not row.paused and ((unfinished and space_model(row.building or row.serving)) or not cleared):
            _enqueue(row, store)


def _step(ctx: JobContext, store: VectorStore, space: str, model: ModelInfo) -> bool:
    """Give a few texts their vector; returns whether there were any."""
    ctx.check()
    with tenant_scope(ctx.tenant_id):
        rows = store.missing(space, EMBED_AT_ONCE)
        done, total = (store.done(space), store.total(space)) if rows else (0, 0)
    if not rows:
        return False
    vectors = _vectors(ctx, rows, model)
    if vectors.shape[1] != store.dim:
        raise Invalid(
            f"{model.name} gives {vectors.shape[1]} dimensions; the index holds {store.dim}.",
            code="embedding_dimensions",
        )
    with tenant_scope(ctx.tenant_id):
        store.write(space, [key for key, _ in rows], vectors)
    ctx.progress(min(total, done + len(rows)), total, space)
    return True


def _vectors(ctx: JobContext, rows: Sequence[Row], model: ModelInfo) -> Any:
    texts, patience = [text for _, text in rows], time.monotonic() + PATIENCE_S
    while True:
        ctx.check()
        try:
            return embed_texts(
                texts, tenant_id=ctx.tenant_id, deadline_s=EMBED_DEADLINE_S, priority="batch", model=model.name
            ).vectors
        except (Busy, Unavailable, DeadlineExceeded) as error:
            if time.monotonic() > patience:
                raise
            time.sleep(min(error.retry_after_s or 1.0, 2.0))


def _clear(ctx: JobContext, store: VectorStore, give_up: float) -> bool:
    """Remove vectors of spaces that are not wanted, a part at a time; returns whether none is left."""
    while True:
        ctx.check()
        with tenant_scope(ctx.tenant_id):
            row = VectorSpace.objects.select_for_update().get(holder=store.holder)
            kept = [space for space in (row.serving, row.building) if space]
            if store.clear(kept, CLEAR_AT_ONCE) < CLEAR_AT_ONCE:
                return True
        if time.monotonic() > give_up:
            return False


def _switch(row: VectorSpace, store: VectorStore) -> bool:
    """Let the new space serve, under the row's lock, unless a text has arrived that it lacks."""
    if store.missing(row.building, 1):
        return False
    before, row.serving, row.building = row.serving, row.building, ""
    row.error_code, row.switched_at = "", now()
    row.save()
    audit_record(
        actor="system",
        action="vectors.switched",
        target=str(row.id),
        data={"holder": row.holder, "before": before, "after": row.serving},
    )
    return True


def space_build_ended(ctx: JobContext, status: str, code: str) -> None:
    """End hook: say why the job ended; the next look starts another, unless that cannot help."""
    VectorSpace.objects.filter(holder=ctx.payload["holder"]).update(error_code=(code or status)[:60])
