"""Counters of one model, cheap enough for every step, in a form that travels as JSON."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

WAIT_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)


class Histogram:
    """Counts by upper bound, with sum and number. Not thread-safe: the owner holds its lock."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def as_dict(self) -> dict[str, Any]:
        """Return {"bounds", "counts" (one more than bounds), "sum"}; counts are per bucket, not cumulative."""
        return {"bounds": list(self._bounds), "counts": list(self._counts), "sum": self._sum}
