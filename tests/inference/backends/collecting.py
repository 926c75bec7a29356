"""A sink that keeps what a chat backend gives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from apps.inference.engine.base import ChatBackend
from apps.inference.engine.errors import EngineError
from apps.inference.engine.types import ChatMessage, GenerateRequest, GenerateStats, Piece


class Collected:
    """Everything one generation gave, and when."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.stats: GenerateStats | None = None
        self.failed: EngineError | None = None
        self.times: list[float] = []
        self.ends = 0
        self.cancel: Callable[[], None] = lambda: None
        self._began, self._ended = threading.Event(), threading.Event()

    def piece(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self.times.append(time.monotonic())
        self._began.set()

    def end(self, stats: GenerateStats) -> None:
        self.ends += 1
        self.stats = stats
        self._ended.set()

    def error(self, error: EngineError) -> None:
        self.ends += 1
        self.failed = error
        self._ended.set()

    def begun(self, timeout_s: float = 60) -> Collected:
        """Wait for the first piece."""
        if not self._began.wait(timeout_s):
            raise TimeoutError(f"no piece within {timeout_s} s; {self.failed!r}")
        return self

    def ended(self, timeout_s: float = 60) -> Collected:
        """Wait for the end or the error."""
        if not self._ended.wait(timeout_s):
            raise TimeoutError(f"no end within {timeout_s} s after {len(self.pieces)} pieces")
        return self

    def text(self, index: int = 0) -> str:
        return "".join(piece.text for piece in self.pieces if piece.index == index)


def ask(backend: ChatBackend, text: str | None = None, *, deadline_s: float = 60, **options: Any) -> Collected:
    """Start a generation; `text` is the user's turn."""
    if text is not None:
        options["messages"] = (ChatMessage("user", text),)
    collected = Collected()
    collected.cancel = backend.start(GenerateRequest(**options), collected, deadline_s=deadline_s)
    return collected


def say(backend: ChatBackend, text: str | None = None, **options: Any) -> str:
    """Return the whole answer."""
    return ask(backend, text, **options).ended().text()
