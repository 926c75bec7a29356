"""Removing what is older than it is kept: every registration of `core.retention`, in every organisation, in small parts."""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter
from contextlib import nullcontext

import structlog
from django.db import connection, transaction

from apps.core.retention import Retention, retentions
from apps.core.tenancy import connection_release, tenant_scope
from apps.tenants.selectors import organization_ids

log = structlog.get_logger(__name__)
# Rows of one transaction: some tens of milliseconds, during which only these rows are locked.
PART_ROWS = 1_000
# An hourly run ends after this, wherever it is; the next one goes on. About 2 million rows an hour.
RUN_S = 300.0
# Between two parts at most so long, and as long as the last one took: half of the time is everybody else's.
PAUSE_S = 0.2
# Runs that overlap remove one part at a time.
_LOCK = 7_341_902_212


def retention_run(*, run_s: float = RUN_S, part_rows: int = PART_ROWS) -> dict[str, int]:
    """Remove everything that is older than it is kept, or as much as `run_s` seconds allow; returns {name: rows}.

    Registrations and organisations take turns of one part each, in an order drawn anew: one with millions of rows does not
    keep the others' waiting. What is left over goes in the next run. One that fails is logged and does not stop the rest.
    """
    ends = time.monotonic() + run_s
    removed: Counter[str] = Counter()
    work: list[tuple[Retention, uuid.UUID | None]] = [
        (found, tenant_id)
        for found in retentions()
        for tenant_id in (organization_ids() if found.each_organization else [None])
    ]
    random.shuffle(work)
    while work:
        left: list[tuple[Retention, uuid.UUID | None]] = []
        for found, tenant_id in work:
            if time.monotonic() > ends:
                log.info("retention.time_is_over", left=len(work), **removed)
                return dict(removed)
            began = time.monotonic()
            count = _part(found, tenant_id, part_rows)
            removed[found.name] += count
            if count >= part_rows:
                left.append((found, tenant_id))
            if count:
                connection_release()
                time.sleep(min(PAUSE_S, time.monotonic() - began))
        work = left
    log.info("retention.done", **removed)
    return dict(removed)


def _part(found: Retention, tenant_id: uuid.UUID | None, most: int) -> int:
    """Remove one part in a transaction of its own; 0 when it fails."""
    try:
        with tenant_scope(tenant_id) if tenant_id else nullcontext(), transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            return found.remove(found.before(), most)
    except Exception:  # one table's trouble is not the others'
        log.exception("retention.failed", name=found.name, tenant_id=str(tenant_id or ""))
        return 0
