"""Reads on the outbox and the deliveries of the whole installation: counts alone."""

from __future__ import annotations

from django.db import connection

MAX_COUNTED = 10_000


def outbox_depth() -> dict[str, int]:
    """Return {state: number} of the entries that were not parted into deliveries; no more than 10 000 are counted."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT state, count(*) FROM (SELECT state FROM events_outboxentry LIMIT %s) AS waiting GROUP BY state",
            [MAX_COUNTED],
        )
        return {"pending": 0, **dict(cursor.fetchall())}


def deliveries_depth() -> dict[tuple[str, str], int]:
    """Return {(handler, state): number} of the deliveries that have not ended well; no more than 10 000 of a state."""
    found: dict[tuple[str, str], int] = {}
    with connection.cursor() as cursor:
        for state in ("pending", "dead", "unknown"):
            cursor.execute(
                "SELECT handler, count(*) FROM (SELECT handler FROM events_delivery WHERE state = %s LIMIT %s) AS found"
                " GROUP BY handler",
                [state, MAX_COUNTED],
            )
            found |= {(handler, state): count for handler, count in cursor.fetchall()}
    return found
