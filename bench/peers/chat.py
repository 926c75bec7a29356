"""What every chat player answers with, whatever runs it."""

from __future__ import annotations

import time
from typing import Any


class Answers:
    """The texts, token counts and first-token times of prompts that were given together."""

    def __init__(self, count: int) -> None:
        self._began = time.monotonic()
        self._first: list[float | None] = [None] * count
        self._tokens = [0] * count
        self._texts = [""] * count

    def started(self, index: int) -> None:
        """Note that the answer `index` has its first token; later calls change nothing."""
        if self._first[index] is None:
            self._first[index] = time.monotonic() - self._began

    def ended(self, index: int, tokens: int, text: str) -> None:
        self._tokens[index], self._texts[index] = tokens, text

    def result(self) -> dict[str, Any]:
        """Return {"seconds": from the first request to the last end, "first_s", "tokens", "texts": one per prompt}."""
        seconds = time.monotonic() - self._began
        if None in self._first or 0 in self._tokens:
            raise RuntimeError("an answer has no token")
        return {"seconds": seconds, "first_s": self._first, "tokens": self._tokens, "texts": self._texts}
