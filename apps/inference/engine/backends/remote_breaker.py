"""A circuit breaker: stops asking a server that keeps failing, and finds out with one request whether it is back."""

from __future__ import annotations

import time
from collections.abc import Callable

from apps.inference.engine.errors import ModelUnavailable

THRESHOLD = 5
FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 60.0


class Breaker:
    """Closed until THRESHOLD failures in a row; then open for a pause that doubles each time one probe has failed.

    Used from one thread. Each request calls `enter`, and then once `success`, `failure` or `neutral` with what it got.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._clock = name, clock
        self._failures = 0
        self._pause_s = FIRST_PAUSE_S
        self._until = 0.0
        self._probing = False

    @property
    def open(self) -> bool:
        """Whether requests are refused, but for a probe."""
        return self._failures >= THRESHOLD

    def enter(self) -> bool:
        """Return whether this request is the probe. Raises ModelUnavailable at once while the breaker is open."""
        if not self.open:
            return False
        left_s = self._until - self._clock()
        if left_s > 0 or self._probing:
            when = f"in {left_s:.0f} s" if left_s >= 1 else "in a moment"
            raise ModelUnavailable(f"the server of {self._name} keeps failing; it is tried again {when}")
        self._probing = True
        return True

    def success(self) -> None:
        """The server did what it should."""
        self._failures, self._pause_s, self._probing = 0, FIRST_PAUSE_S, False

    def failure(self, probe: bool) -> None:
        """The server did not answer, broke off, or answered nonsense."""
        self._failures += 1
        if probe:
            self._probing = False
            self._pause_s = min(self._pause_s * 2, MAX_PAUSE_S)
        if self.open:
            self._until = self._clock() + self._pause_s

    def neutral(self, probe: bool) -> None:
        """It ended without saying anything of the server: cancelled, or refused for what it asked."""
        if probe:
            self._probing = False
