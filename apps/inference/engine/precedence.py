"""Who waits for an answer now: work of the class "batch" stands back while anybody does, whatever model either needs.

Each model has its own queue, which knows nothing of the others, but all models share the processor: a batch for one of
them that begins while a chat model reads a question makes the first word late.
"""

from __future__ import annotations

import threading

from apps.inference.engine.types import Priority


class Waiting:
    """One that waits; `over` ends it, once."""

    def __init__(self, precedence: Precedence, counts: bool) -> None:
        self._precedence, self._counts = precedence, counts

    def over(self) -> None:
        """Stop waiting; a second call does nothing."""
        counts, self._counts = self._counts, False
        if counts:
            self._precedence.leave()


class Precedence:
    """Counts who waits: generations without a first token, and calls of the other models. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def wait(self, priority: Priority) -> Waiting:
        """Begin to wait. Work of the class "batch" has nobody who waits for it."""
        counts = priority != "batch"
        if counts:
            with self._lock:
                self._count += 1
        return Waiting(self, counts)

    def leave(self) -> None:
        """End one wait (see Waiting)."""
        with self._lock:
            self._count -= 1

    @property
    def taken(self) -> bool:
        """Whether anybody waits."""
        return self._count > 0
