"""How much of this process one caller holds, and how fast a caller comes: counted in memory, for what must cost nothing."""

from __future__ import annotations

import time
from collections import Counter

# Above so many callers those whose time has passed are forgotten.
_KEPT = 50_000


class Held:
    """What each caller holds at the moment."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    def take(self, key: str, bound: int) -> bool:
        """Count one more for `key`; False, and not counted, where it holds `bound` already."""
        if self._held[key] >= bound:
            return False
        self._held[key] += 1
        return True

    def give(self, key: str) -> None:
        """Count one less."""
        self._held[key] -= 1
        if self._held[key] <= 0:
            del self._held[key]

    def total(self) -> int:
        """Return what all hold together."""
        return self._held.total()


class Pace:
    """Uses a minute of each caller, by the generic cell rate algorithm, as `usage.services.rate_check` does in Redis."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}

    def allows(self, key: str, *, per_minute: int, burst: int) -> bool:
        """Count one use and return True, or return False where `key` comes faster."""
        at, step = time.monotonic(), 60 / per_minute
        due = max(self._due.get(key, 0.0), at)
        if due - at > step * (burst - 1):
            return False
        if len(self._due) > _KEPT:
            self._due = {name: when for name, when in self._due.items() if when > at}
        self._due[key] = due + step
        return True
