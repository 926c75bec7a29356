"""Claim a job, keep its lease, run its handler, finish it.

The broker's message is only a hint: the claim decides, duplicates find no row to claim. A handler writes its effects in
`JobContext.finishing()`, which commits them together with the state "done", or rolls both back when the lease is gone.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import structlog
from django.db import close_old_connections, connection
from django.db.models import F, Q

from apps.core.clock import now
from apps.core.errors import AppError, Busy, Cancelled, DeadlineExceeded, StorageFull, Unavailable
from apps.core.ids import new_id
from apps.core.storage import storage_is_full
from apps.core.tenancy import tenant_scope
from apps.jobs.models import Job, JobDispatch
from apps.jobs.types import LeaseLost

log = structlog.get_logger(__name__)
_stopping = threading.Event()
LEASE_S = 30
HEARTBEAT_S = 10
MAX_ATTEMPTS = 5
Handler = Callable[["JobContext"], None]
_handlers: dict[str, Handler] = {}
# These say "not now": the job goes back to the queue.
RETRYABLE = (Busy, Unavailable, DeadlineExceeded, StorageFull)
# An end hook that raises is called again with the next attempts, so many beyond the job's own; then the job ends without.
HOOK_ATTEMPTS = 5
# A kind without a handler is of a newer version: its jobs wait for workers that have it, looked at again so often, so long.
UNKNOWN_WAIT_S = 60
UNKNOWN_KEPT = timedelta(days=7)


def job_handler(kind: str) -> Callable[[Handler], Handler]:
    """Register the handler of a kind of job. It may run more than once; effects belong in `ctx.finishing()`."""

    def register(handler: Handler) -> Handler:
        _handlers[kind] = handler
        return handler

    return register


def job_kinds() -> list[str]:
    """Return the registered kinds."""
    return sorted(_handlers)


class JobContext:
    """What a handler knows of its job and may tell about it."""

    def __init__(self, job: Job, token: uuid.UUID, attempt: int) -> None:
        self.job_id, self.tenant_id = job.id, job.tenant_id
        self.kind, self.payload, self.attempt = job.kind, job.payload, attempt
        self.token, self.created_at = token, job.created_at
        self.lost = threading.Event()
        self.finished = False
        self._failed: tuple[str, str] | None = None

    def _mine(self) -> Any:
        return JobDispatch.objects.filter(job_id=self.job_id, lease_token=self.token, status="running")

    def check(self) -> None:
        """Raise Cancelled when asked to stop, LeaseLost when the job is somebody else's. Call it between steps."""
        if self.lost.is_set():
            raise LeaseLost
        requested = self._mine().values_list("cancel_requested", flat=True).first()
        if requested is None:
            raise LeaseLost
        if requested:
            raise Cancelled

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Publish how far the job is."""
        with tenant_scope(self.tenant_id):
            Job.objects.filter(id=self.job_id).update(done=done, total=total, note=note[:200])

    def fail(self, code: str, message: str) -> None:
        """Inside `finishing()`: end as failed with this reason instead of done."""
        self._failed = (code, message)

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Open the transaction that holds the job's effects and its end. Raises LeaseLost, rolling both back.

        The job's row is locked last: who cancels holds what the effects need, and waits for that row.
        """
        with tenant_scope(self.tenant_id):
            if not self._mine().exists():
                raise LeaseLost
            yield
            _end(self, "failed" if self._failed else "done", *(self._failed or ("", "")))
        self.finished = True


def _end(ctx: JobContext, status: str, code: str = "", message: str = "") -> None:
    """Set the final state in the open scope. Raises LeaseLost when the job is not ours any more."""
    if not ctx._mine().update(status=status, lease_token=None, lease_until=None):
        raise LeaseLost
    Job.objects.filter(id=ctx.job_id).update(error_code=code[:60], error_message=message[:500], finished_at=now())


def _claim(job_id: uuid.UUID) -> tuple[uuid.UUID, uuid.UUID, int] | None:
    token = new_id()
    free = Q(status="queued") | Q(status="running", lease_until__lt=now())
    taken = JobDispatch.objects.filter(free, job_id=job_id).update(
        status="running",
        attempts=F("attempts") + 1,
        lease_token=token,
        lease_until=now() + timedelta(seconds=LEASE_S),
    )
    if not taken:
        return None
    row = JobDispatch.objects.filter(job_id=job_id, lease_token=token).first()
    return (row.tenant_id, token, row.attempts) if row else None


def _heartbeat(ctx: JobContext, stop: threading.Event) -> None:
    """Renew the lease until stopped; a lease that cannot be renewed in time counts as lost."""
    renewed = now()
    while not stop.wait(HEARTBEAT_S):
        try:
            if not ctx._mine().update(lease_until=now() + timedelta(seconds=LEASE_S)):
                ctx.lost.set()
                break
            renewed = now()
        except Exception as error:  # noqa: BLE001  (the database may be away; the lease's own time decides)
            log.warning("job.heartbeat_failed", job_id=str(ctx.job_id), error=type(error).__name__)
            if now() - renewed > timedelta(seconds=LEASE_S):
                ctx.lost.set()
                break
        finally:
            connection.close()  # to the pool, which has fewer connections than there are jobs; a broken one is dropped


def job_run(job_id: uuid.UUID) -> bool:
    """Claim and run one job; returns False when there was nothing to claim. Never raises for a handler's error."""
    claimed = _claim(job_id)
    if claimed is None:
        return False
    tenant_id, token, attempt = claimed
    with tenant_scope(tenant_id):
        job = Job.objects.filter(id=job_id).first()
    if job is None:  # its organisation was deleted
        JobDispatch.objects.filter(job_id=job_id).delete()
        return False
    ctx = JobContext(job, token, attempt)
    stop = threading.Event()
    beat = threading.Thread(target=_heartbeat, args=(ctx, stop), name=f"lease-{job_id}", daemon=True)
    beat.start()
    try:
        _run_handler(ctx)
    finally:
        stop.set()
        close_old_connections()
    return True


def _run_handler(ctx: JobContext) -> None:
    bound = log.bind(job_id=str(ctx.job_id), kind=ctx.kind, tenant_id=str(ctx.tenant_id), attempt=ctx.attempt)
    try:
        if ctx.kind not in _handlers:
            _keep_for_newer(ctx)
            return
        if ctx.attempt > MAX_ATTEMPTS:
            _settle(ctx, "dead", "attempts_exhausted", "The job ended its process or failed too many times.")
            return
        _handlers[ctx.kind](ctx)
        if not ctx.finished:
            with ctx.finishing():
                pass
    except LeaseLost:
        bound.warning("job.lease_lost")
    except Cancelled as error:
        _settle(ctx, "cancelled", error.code, error.message)
    except AppError as error:
        if isinstance(error, RETRYABLE) and ctx.attempt < MAX_ATTEMPTS:
            _requeue(ctx)
        else:
            _settle(ctx, "failed", error.code, error.message)
    except Exception as error:  # noqa: BLE001  (whatever a handler raises decides between retry and dead)
        if _stopping.is_set():
            bound.info("job.interrupted", error=type(error).__name__)
        else:
            bound.exception("job.failed")
        if ctx.attempt < MAX_ATTEMPTS:
            _requeue(ctx)
        else:
            code = "storage_full" if storage_is_full(error) else "attempts_exhausted"
            _settle(ctx, "dead", code, type(error).__name__)


def _keep_for_newer(ctx: JobContext) -> None:
    """Give a job of an unknown kind back without an attempt, for a worker that has its handler; dead after a week."""
    if now() - ctx.created_at > UNKNOWN_KEPT:
        _settle(ctx, "dead", "kind_unknown", "No version that ran since has a handler for this kind of job.")
        return
    log.warning("job.kind_unknown", job_id=str(ctx.job_id), kind=ctx.kind)
    _requeue(ctx, wait_s=UNKNOWN_WAIT_S, attempts=max(1, ctx.attempt - 1))  # tried before: runs on its own hints


def _settle(ctx: JobContext, status: str, code: str, message: str) -> None:
    try:
        try:
            with tenant_scope(ctx.tenant_id):
                hook = _end_hooks.get(ctx.kind)
                if hook is not None:
                    hook(ctx, status, code)
                _end(ctx, status, code, message)  # last, as in `finishing`
        except LeaseLost:
            raise
        except Exception as error:
            log.exception("job.end_hook_failed", job_id=str(ctx.job_id), kind=ctx.kind, attempt=ctx.attempt)
            if ctx.attempt < MAX_ATTEMPTS + HOOK_ATTEMPTS:
                _requeue(ctx)
                return
            with tenant_scope(ctx.tenant_id):
                _end(ctx, "dead", "end_hook_failed", type(error).__name__)
    except LeaseLost:
        log.warning("job.lease_lost", job_id=str(ctx.job_id))


def _requeue(ctx: JobContext, *, wait_s: float | None = None, attempts: int | None = None) -> None:
    due = now() + timedelta(seconds=min(60, 2**ctx.attempt) if wait_s is None else wait_s)
    ctx._mine().update(
        status="queued",
        lease_token=None,
        lease_until=None,
        next_attempt_at=due,
        attempts=ctx.attempt if attempts is None else attempts,
    )


def process_stopping() -> None:
    """Say that this process was told to stop: what jobs raise from now on is no failure of theirs."""
    _stopping.set()


EndHook = Callable[[JobContext, str, str], None]
_end_hooks: dict[str, EndHook] = {}


def job_end_hook(kind: str) -> Callable[[EndHook], EndHook]:
    """Register what to do, in the same transaction, when a job of a kind ends without its handler finishing it
    (cancelled, failed, dead): `hook(ctx, status, code)`."""

    def register(hook: EndHook) -> EndHook:
        _end_hooks[kind] = hook
        return hook

    return register
