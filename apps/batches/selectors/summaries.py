"""What charts of a batch show. Everything is a sum over its cells, whatever the number of its rows."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db.models import QuerySet, Sum

from apps.batches.access import access_batch_by_id
from apps.batches.models import Batch, BatchCell
from apps.batches.numbers import NONE, bucket_begin, name_of
from apps.batches.selectors.batches import filter_numbers
from apps.batches.types import RowFilter
from apps.core.tenancy import tenant_scope

MAX_POINTS = 400


def batch_summary(*, tenant_id: uuid.UUID, batch_id: object, chosen: RowFilter) -> dict[str, Any]:
    """Return the counts behind the charts under a filter. Raises NotFound.

    Shape: {"rows": all that pass the filter, "mean_score", "labels": [{"name", "rows", "mean_score"}], "sources" and
           "topics": [{"name", "rows", "mean_score", "labels": {name: rows}}], "trend": {"unit", "points": [{"from", "to",
           "rows", "mean_score", "labels": {...}}]}}. Each chart leaves out the filter on what it shows itself, so that
           the other bars stay to choose from.
    """
    with tenant_scope(tenant_id):
        batch = access_batch_by_id(tenant_id, batch_id)
        total = _totals(_cells(batch, chosen).aggregate(**_SUMS))
        return {
            **total,
            "labels": _bars(batch, replace(chosen, label=""), "label_no", batch.labels),
            "sources": _bars(batch, replace(chosen, source=""), "source_no", batch.sources),
            "topics": _bars(batch, replace(chosen, topic=""), "topic_no", batch.topics),
            "trend": _trend(batch, replace(chosen, since=None, until=None)),
        }


_SUMS = {"n": Sum("rows"), "scored_n": Sum("scored"), "score": Sum("score_sum")}


def _cells(batch: Batch, chosen: RowFilter) -> QuerySet[BatchCell]:
    conditions = filter_numbers(batch, chosen)
    if conditions is None:
        return BatchCell.objects.none()
    return BatchCell.objects.filter(batch_id=batch.id, **conditions)


def _totals(sums: dict[str, Any]) -> dict[str, Any]:
    scored = sums["scored_n"] or 0
    return {"rows": sums["n"] or 0, "mean_score": round(sums["score"] / scored, 4) if scored else None}


def _grouped(batch: Batch, chosen: RowFilter, column: str) -> dict[int, dict[str, Any]]:
    """Return {number: {"rows", "mean_score", "labels"}} for each number of a column."""
    cells = _cells(batch, chosen).values(column, "label_no").annotate(**_SUMS).order_by()
    found: dict[int, dict[str, Any]] = {}
    for cell in cells:
        bar = found.setdefault(cell[column], {"n": 0, "scored_n": 0, "score": 0.0, "labels": {}})
        for name in ("n", "scored_n", "score"):
            bar[name] += cell[name]
        label = name_of(cell["label_no"], batch.labels)
        bar["labels"][label] = bar["labels"].get(label, 0) + cell["n"]
    return {number: {**_totals(bar), "labels": bar["labels"]} for number, bar in found.items()}


def _bars(batch: Batch, chosen: RowFilter, column: str, names: list[str]) -> list[dict[str, Any]]:
    """Return the bars of a chart, the longest first; empty when there is nothing to tell apart."""
    found = _grouped(batch, chosen, column)
    if set(found) <= {NONE}:
        return []
    bars = [{"name": name_of(number, names), **bar} for number, bar in found.items()]
    return sorted(bars, key=lambda bar: (bar["name"].startswith("~"), -bar["rows"], bar["name"]))


def _trend(batch: Batch, chosen: RowFilter) -> dict[str, Any]:
    """Return the points in order of time, without those that have no rows; at most 400, the latest."""
    unit, start = batch.bucket_unit, batch.bucket_start
    if start is None:
        return {"unit": "", "points": [], "without_time": 0}
    found = _grouped(batch, chosen, "bucket_no")
    untimed = found.pop(NONE, {"rows": 0})["rows"]
    points = [
        {"from": _iso(bucket_begin(number, unit, start)), "to": _iso(bucket_begin(number + 1, unit, start)), **bar}
        for number, bar in sorted(found.items())[-MAX_POINTS:]
    ]
    return {"unit": unit, "points": points, "without_time": untimed}


def _iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
