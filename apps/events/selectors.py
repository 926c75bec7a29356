"""Reads on the outbox and the deliveries of the whole installation: counts alone."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from django.db import connection

from apps.events.types import HandlerBacklog

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


def handlers_behind() -> list[HandlerBacklog]:
    """Return the handlers that something waits for, died at or is unknown to, those with most dead first.

    No more than the oldest 10 000 deliveries of a state are counted.
    """
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    oldest: dict[str, datetime] = {}
    errors: dict[str, str] = {}
    for state, order in (("pending", "id"), ("dead", "created_at"), ("unknown", "created_at")):
        for handler, count, since, error in _by_handler(state, order):
            counts[handler][state] = count
            if state == "pending":
                oldest[handler] = since
            elif state == "dead":
                errors[handler] = error
    made = [
        HandlerBacklog(
            handler,
            found.get("pending", 0),
            found.get("dead", 0),
            found.get("unknown", 0),
            oldest.get(handler),
            errors.get(handler, ""),
        )
        for handler, found in counts.items()
    ]
    return sorted(made, key=lambda one: (-one.dead, -one.unknown, -one.pending, one.handler))


def _by_handler(state: str, order: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT handler, count(*), min(created_at), (array_agg(error ORDER BY id DESC))[1] FROM ("  # noqa: S608  (a column of ours)
            f"SELECT id, handler, created_at, error FROM events_delivery WHERE state = %s ORDER BY {order} LIMIT %s"
            ") AS found GROUP BY handler",
            [state, MAX_COUNTED],
        )
        return list(cursor.fetchall())
