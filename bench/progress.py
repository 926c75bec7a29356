"""Lines on stderr: suite, case, repetition, time left."""

from __future__ import annotations

import sys
import time


class Progress:
    """Counts the steps of one suite. The time left is told once a step has shown how long steps take."""

    def __init__(self, suite: str, steps: int) -> None:
        self._suite, self._steps, self._done = suite, steps, 0
        self._began = time.monotonic()

    def step(self, what: str) -> None:
        """Say that a step begins."""
        left = ""
        if self._done:
            left_s = (time.monotonic() - self._began) / self._done * max(0, self._steps - self._done)
            left = f", about {left_s / 60:.0f} min left" if left_s >= 90 else f", about {left_s:.0f} s left"
        self._done += 1
        say(f"{self._suite} {self._done}/{self._steps}: {what}{left}")

    def drop(self, steps: int) -> None:
        """Forget steps that will not be taken."""
        self._steps -= steps


def say(line: str) -> None:
    """Write one line to stderr."""
    print(line, file=sys.stderr, flush=True)
