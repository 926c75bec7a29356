"""The sweeper: jobs whose lease ran out or whose broker message was lost are hinted again."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q

from apps.core.clock import now
from apps.jobs.models import JobDispatch
from apps.jobs.services.enqueue import broker_hint, fresh_until


def jobs_sweep(*, limit: int = 500) -> int:
    """Put expired and unclaimed jobs back before the workers; returns how many. Attempts are counted by the claim."""
    with transaction.atomic():
        due = Q(status="running", lease_until__lt=now()) | Q(status="queued", next_attempt_at__lt=now())
        rows = list(
            JobDispatch.objects.select_for_update(skip_locked=True).filter(due).order_by("next_attempt_at")[:limit]
        )
        ids = [row.job_id for row in rows]
        JobDispatch.objects.filter(job_id__in=ids).update(
            status="queued",
            lease_token=None,
            lease_until=None,
            next_attempt_at=fresh_until(),
        )
    for row in rows:
        broker_hint(row.job_id, row.queue)
    return len(rows)
