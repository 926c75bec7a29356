"""How far a long command is: a bar with the time left at a terminal, a line for every tenth elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_WIDTH = 24
_EVERY_S = 0.2


class Progress:
    """Progress of one stretch of work after the other. Writes to stderr, so that stdout stays for the result."""

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._quiet, self._bar = quiet, self._stream.isatty()
        self._label, self._total, self._done = "", 0, 0
        self._began = self._shown = 0.0
        self._tenth = 0

    def begin(self, label: str, total_bytes: int) -> None:
        """Begin a stretch of `total_bytes` (0: nobody knows)."""
        self.end()
        self._label, self._total, self._done, self._tenth = label, total_bytes, 0, 0
        self._began, self._shown = time.monotonic(), 0.0
        if not self._bar:
            self._line(f"{label} ({size_text(total_bytes)})" if total_bytes else label)

    def to(self, done_bytes: int) -> None:
        """Say how many bytes of the stretch are done; more than the total counts as all of it."""
        self._done = min(done_bytes, self._total) if self._total else done_bytes
        if self._bar and time.monotonic() - self._shown >= _EVERY_S:
            self._shown = time.monotonic()
            self._line(f"\r\x1b[K{self._text()}", end="")
        elif not self._bar and self._total and self._done * 10 // self._total > self._tenth:
            self._tenth = self._done * 10 // self._total
            self._line(self._text())

    def add(self, more_bytes: int) -> None:
        """Say that further bytes are done."""
        self.to(self._done + more_bytes)

    def end(self) -> None:
        """End the stretch."""
        if self._bar and self._label:
            self._done = self._total or self._done
            self._line(f"\r\x1b[K{self._text()}")
        self._label = ""

    def _text(self) -> str:
        elapsed_s = time.monotonic() - self._began
        if not self._total:
            return f"{self._label}  {size_text(self._done)}"
        share = self._done / self._total
        bar = "#" * round(_WIDTH * share)
        left_s = elapsed_s / share - elapsed_s if 0 < share < 1 else 0.0
        left = f"  {int(left_s // 60)}:{int(left_s % 60):02} left" if share < 1 else ""
        amounts = f"{size_text(self._done)} of {size_text(self._total)}"
        return f"{self._label:<10} [{bar:<{_WIDTH}}] {share:4.0%}  {amounts}{left}"

    def _line(self, text: str, *, end: str = "\n") -> None:
        if not self._quiet:
            self._stream.write(text + end)
            self._stream.flush()


def size_text(count: float) -> str:
    """`1234567` -> `1.2 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
