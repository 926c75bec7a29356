"""The interface between the host and its backends: five methods for each kind of model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from apps.inference.engine.types import (
    ChatCounters,
    EmbedCounters,
    EmbedResult,
    GenerateRequest,
    GenerateStats,
    Piece,
    Priority,
)


class Generation(Protocol):
    """One running generation: iterate for pieces; `close` makes the engine stop computing it."""

    stats: GenerateStats | None

    def __iter__(self) -> Iterator[Piece]: ...

    def poll(self, timeout_s: float) -> Piece | None:
        """Return the next piece, or None when none came in time. Raises StopIteration at the end."""
        ...

    def close(self) -> None: ...


class ChatBackend(Protocol):
    """Serves one chat model; every method may be called from any thread."""

    def load(self) -> None: ...

    def generate(self, request: GenerateRequest, *, deadline_s: float) -> Generation: ...

    def health(self) -> bool: ...

    def info(self) -> ChatCounters: ...

    def stop(self) -> None: ...


class EmbedBackend(Protocol):
    """Serves one embedding model; every method may be called from any thread."""

    def load(self) -> None: ...

    def embed(self, texts: Sequence[str], *, deadline_s: float, priority: Priority) -> EmbedResult: ...

    def health(self) -> bool: ...

    def info(self) -> EmbedCounters: ...

    def stop(self) -> None: ...
