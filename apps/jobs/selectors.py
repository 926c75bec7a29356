"""Reads on jobs of the whole installation: counts alone, from the table that holds no organisation's text."""

from __future__ import annotations

from django.db import connection

MAX_COUNTED = 10_000


def jobs_active() -> dict[tuple[str, str], int]:
    """Return {(queue, status): number} of the jobs that wait or run; no more than 10 000 are counted."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT queue, status, count(*) FROM (SELECT queue, status FROM jobs_jobdispatch"
            " WHERE status IN ('queued', 'running') LIMIT %s) AS active GROUP BY queue, status",
            [MAX_COUNTED],
        )
        return {(queue, status): count for queue, status, count in cursor.fetchall()}
