"""The interface between the host and its backends: five methods for chat models, five for models that work in batches.

Scheduling, fairness, bounds, deadlines and memory are the host's; a backend only loads one model and computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from apps.inference.engine.errors import EngineError
from apps.inference.engine.types import BatchItem, Capability, ChatCounters, GenerateRequest, GenerateStats, Piece


class Sink(Protocol):
    """Receives what one generation gives: pieces, then exactly one of `end` and `error`. Callable from any thread."""

    def piece(self, piece: Piece) -> None: ...

    def end(self, stats: GenerateStats) -> None: ...

    def error(self, error: EngineError) -> None: ...


class ChatBackend(Protocol):
    """Serves one chat model; every method may be called from any thread."""

    # How many generations it computes side by side; the host starts no more.
    slots: int
    capabilities: frozenset[Capability]

    def load(self) -> None:
        """Load and warm the model. Raises ModelUnavailable and its kinds."""
        ...

    def start(self, request: GenerateRequest, sink: Sink, *, deadline_s: float) -> Callable[[], None]:
        """Begin a generation and return at once; the result stops it (idempotent; the sink then gets no more).

        The backend stops by itself at the deadline, with DeadlineExceeded. Raises ModelUnavailable.
        """
        ...

    def health(self) -> bool: ...

    def info(self) -> ChatCounters: ...

    def stop(self) -> None:
        """Free everything. Active generations get an `error` of ModelUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """An item ready for a batch: `size` is its length in tokens (or what stands for it), `payload` the backend's own.

    An item that is long has `parts`, which are computed one by one, in any batches; `join` makes the item's value of
    theirs. Then its own payload is not computed.
    """

    size: int
    payload: Any
    truncated: bool = False
    parts: tuple[Prepared, ...] = ()
    join: Callable[[Sequence[Any]], Any] | None = None


# Called again and again in the middle of a batch: returns when the batch may go on, or raises DeadlineExceeded when nobody
# waits for it any more.
GiveWay = Callable[[], None]


def stay() -> None:
    """Go on at once: the GiveWay of work that somebody waits for."""


class BatchBackend(Protocol):
    """Serves one model that maps items to values (see `BatchItem`). `run` is called from one thread at a time.

    One that has `batch_tokens` gets no more tokens at a time: others wait for all of them. One that has `run_short`, with
    the arguments of `run`, computes a small batch on one processor while another thread is in `run`; it is called from
    one thread at a time, too.
    """

    labels: tuple[str, ...]

    def load(self) -> None:
        """Load the model and run it once. Raises ModelUnavailable and its kinds."""
        ...

    def prepare(self, items: Sequence[BatchItem]) -> list[Prepared]:
        """Tokenise, on the caller's thread. Raises EngineError for items of the wrong kind."""
        ...

    def run(self, batch: Sequence[Prepared], give_way: GiveWay = stay, /) -> list[Any]:
        """Return one value per prepared item, in order. Anything it raises fails the batch's callers.

        A backend that computes here for longer than some 50 ms calls `give_way` in between, from any of its threads.
        """
        ...

    def stop(self) -> None: ...
