"""Work that nobody watches stands back while somebody waits for a first word."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from apps.inference.engine import batching
from apps.inference.engine.base import GiveWay, Prepared, Sink, stay
from apps.inference.engine.batching import BatchRunner
from apps.inference.engine.errors import ModelUnavailable, Overloaded
from apps.inference.engine.generation import ChatRunner, Generation
from apps.inference.engine.precedence import Precedence
from apps.inference.engine.types import (
    BatchItem,
    Capability,
    ChatCounters,
    ChatMessage,
    GenerateRequest,
    GenerateStats,
    Piece,
    Priority,
)


class Chat:
    """Starts generations and says what the test has it say."""

    capabilities: frozenset[Capability] = frozenset()
    slots = 1

    def __init__(self) -> None:
        self.sinks: list[Sink] = []

    def load(self) -> None: ...

    def start(self, request: GenerateRequest, sink: Sink, *, deadline_s: float) -> Callable[[], None]:
        self.sinks.append(sink)
        return lambda: None

    def health(self) -> bool:
        return True

    def info(self) -> ChatCounters:
        return ChatCounters()

    def stop(self) -> None: ...


class Encoder:
    """Gives each item its size and keeps the sizes of the batches."""

    labels: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.batches: list[int] = []
        # Where a batch is held until a test lets it go on.
        self.began, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def load(self) -> None: ...

    def prepare(self, items: Sequence[BatchItem]) -> list[Prepared]:
        return [Prepared(int(str(item)), item) for item in items]

    def run(self, batch: Sequence[Prepared], give_way: GiveWay = stay, /) -> list[Any]:
        self.batches.append(len(batch))
        self.began.set()
        self.go_on.wait(10)
        give_way()
        return [one.size for one in batch]

    def stop(self) -> None: ...


@pytest.fixture
def precedence() -> Precedence:
    return Precedence()


@pytest.fixture
def chat(precedence: Precedence) -> Iterator[ChatRunner]:
    runner = ChatRunner("chat", Chat(), max_queued=2, precedence=precedence)
    runner.load()
    yield runner
    runner.stop()


@pytest.fixture
def encoder(precedence: Precedence, monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchRunner]:
    monkeypatch.setattr(batching, "_STAND_BACK_S", 60.0)
    runner = BatchRunner("encoder", Encoder(), budget_tokens=400, max_queued=1000, precedence=precedence)
    runner.load()
    yield runner
    runner.stop()


def ask(chat: ChatRunner, priority: Priority = "live") -> Generation:
    request = GenerateRequest((ChatMessage("user", "hello"),))
    return chat.submit(request, priority=priority, tenant="a", deadline_s=60.0)


def background(encoder: BatchRunner) -> threading.Thread:
    """Give the encoder a batch and return the thread that waits for it."""

    def wait() -> None:
        # Some still stand back when their test is over.
        with contextlib.suppress(ModelUnavailable):
            encoder.run(["10"], priority="batch", tenant="a", deadline_s=60.0)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def stands_back(thread: threading.Thread) -> bool:
    thread.join(0.2)
    return thread.is_alive()


def goes_on(thread: threading.Thread) -> bool:
    thread.join(10)
    return not thread.is_alive()


def first_word(generation: Generation) -> None:
    generation.piece(Piece("x", 1))


def the_end(generation: Generation) -> None:
    generation.end(GenerateStats(1, 0, 0.0, 0.0, "stop", ("stop",)))


@pytest.mark.parametrize("what", [first_word, the_end, Generation.close], ids=["first word", "end", "cancelled"])
@pytest.mark.parametrize("priority", ["live", "api"])
def test_a_batch_waits_for_the_first_word_of_a_chat(
    chat: ChatRunner, encoder: BatchRunner, what: Callable[[Generation], None], priority: Priority
) -> None:
    generation = ask(chat, priority)
    thread = background(encoder)
    assert stands_back(thread)
    what(generation)
    assert goes_on(thread)


def test_a_generation_that_nobody_watches_holds_no_batch_back(chat: ChatRunner, encoder: BatchRunner) -> None:
    ask(chat, "batch")
    assert goes_on(background(encoder))


def test_a_refused_generation_holds_no_batch_back(chat: ChatRunner, encoder: BatchRunner) -> None:
    running = [ask(chat) for _ in range(3)]
    with pytest.raises(Overloaded):
        ask(chat)
    for generation in running:
        generation.close()
    assert goes_on(background(encoder))


def test_people_who_never_stop_asking_do_not_stop_a_batch(
    chat: ChatRunner, encoder: BatchRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_STAND_BACK_S", 0.05)
    ask(chat)
    assert goes_on(background(encoder))


def test_what_people_wait_for_does_not_stand_back(chat: ChatRunner, encoder: BatchRunner) -> None:
    ask(chat)
    assert encoder.run(["10"], priority="live", tenant="a", deadline_s=10.0).values == (10,)


def test_people_overtake_a_batch_that_stands_back(chat: ChatRunner, encoder: BatchRunner) -> None:
    ask(chat)
    thread = background(encoder)
    assert encoder.run(["20"], priority="api", tenant="a", deadline_s=10.0).values == (20,)
    assert stands_back(thread)


def test_what_cannot_give_way_is_small(encoder: BatchRunner) -> None:
    backend: Any = encoder.backend
    encoder.run(["5"] * 40, priority="live", tenant="a", deadline_s=10.0)
    encoder.run(["5"] * 40, priority="batch", tenant="a", deadline_s=10.0)
    assert backend.batches == [40, 10, 10, 10, 10]


@pytest.fixture
def begun(encoder: BatchRunner) -> Iterator[threading.Thread]:
    """The thread that waits for a batch which has begun; it asks whether to give way once `go_on` is set."""
    backend: Any = encoder.backend
    backend.go_on.clear()
    thread = background(encoder)
    assert backend.began.wait(10)
    yield thread
    backend.go_on.set()


def word_comes(generation: Generation, _: BatchRunner) -> None:
    first_word(generation)


def patience_ends(_: Generation, encoder: BatchRunner) -> None:
    encoder._stands_back_until = 0.0


@pytest.mark.parametrize("what", [word_comes, patience_ends])
def test_a_batch_that_has_begun_gives_way(
    chat: ChatRunner,
    encoder: BatchRunner,
    begun: threading.Thread,
    what: Callable[[Generation, BatchRunner], None],
) -> None:
    backend: Any = encoder.backend
    generation = ask(chat)
    backend.go_on.set()
    assert stands_back(begun)
    what(generation, encoder)
    assert goes_on(begun)


def test_a_batch_that_has_begun_is_not_in_the_way_of_its_own_model(
    chat: ChatRunner, encoder: BatchRunner, begun: threading.Thread
) -> None:
    backend: Any = encoder.backend
    ask(chat)
    backend.go_on.set()
    assert stands_back(begun)
    assert encoder.run(["20"], priority="live", tenant="a", deadline_s=10.0).values == (20,)
    assert goes_on(begun)
