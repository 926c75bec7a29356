"""Who is served next, how many wait, and what happens at deadlines: the runner of a chat model over a backend of tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from apps.inference.engine.base import Sink
from apps.inference.engine.errors import DeadlineExceeded, EngineError, ModelUnavailable, Overloaded, Unsupported
from apps.inference.engine.generation import ChatRunner, Generation
from apps.inference.engine.precedence import Precedence
from apps.inference.engine.scheduler import FairQueue
from apps.inference.engine.types import (
    Capability,
    ChatCounters,
    ChatMessage,
    GenerateRequest,
    GenerateStats,
    Piece,
    Priority,
)


class Backend:
    """Starts generations and finishes them when the test says so; keeps the order of starts."""

    capabilities: frozenset[Capability] = frozenset()

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.running: dict[str, Sink] = {}
        self.started: list[str] = []
        self.cancelled: list[str] = []
        self.refuse: EngineError | None = None

    def load(self) -> None: ...

    def start(self, request: GenerateRequest, sink: Sink, *, deadline_s: float) -> Callable[[], None]:
        if self.refuse is not None:
            raise self.refuse
        name = request.messages[0].content
        self.started.append(name)
        self.running[name] = sink
        return lambda: self.cancelled.append(name)

    def finish(self, name: str) -> None:
        sink = self.running.pop(name)
        sink.piece(Piece("x", 1))
        sink.end(GenerateStats(1, 1, 0.0, 0.0, "stop", ("stop",)))

    def finish_all(self) -> None:
        while self.running:
            self.finish(next(iter(self.running)))

    def health(self) -> bool:
        return True

    def info(self) -> ChatCounters:
        return ChatCounters()

    def stop(self) -> None: ...


def make(slots: int, max_queued: int = 1000) -> tuple[ChatRunner, Backend]:
    backend = Backend(slots)
    runner = ChatRunner("m", backend, max_queued=max_queued, precedence=Precedence())
    runner.load()
    return runner, backend


def submit(
    runner: ChatRunner, name: str, *, priority: Priority = "live", tenant: str = "a", deadline_s: float = 30.0
) -> Generation:
    request = GenerateRequest((ChatMessage("user", name),))
    return runner.submit(request, priority=priority, tenant=tenant, deadline_s=deadline_s)


def until(condition: Callable[[], bool], timeout_s: float = 5.0) -> bool:
    give_up = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < give_up:
        time.sleep(0.01)
    return condition()


def test_urgent_classes_go_first() -> None:
    runner, backend = make(slots=1)
    submit(runner, "running")
    for name, priority in (("b", "batch"), ("p", "api"), ("l", "live")):
        submit(runner, name, priority=priority)
    backend.finish_all()
    assert backend.started == ["running", "l", "p", "b"]


def test_organisations_take_turns_whatever_the_length_of_their_queues() -> None:
    runner, backend = make(slots=1)
    for number in range(100):
        submit(runner, f"a{number}", priority="batch", tenant="a")
    for number in range(5):
        submit(runner, f"b{number}", priority="batch", tenant="b")
    backend.finish_all()
    places = [backend.started.index(f"b{number}") for number in range(5)]
    assert max(places) <= 10


def test_one_organisation_may_not_fill_a_class_that_others_use() -> None:
    queue: FairQueue[int] = FairQueue(100)
    queue.push([0], priority="live", tenant="b")
    queue.push(list(range(50)), priority="live", tenant="a")
    with pytest.raises(Overloaded):
        queue.push([50], priority="live", tenant="a")
    queue.push([1], priority="live", tenant="b")
    assert len(queue) == 52


def test_batches_leave_slots_and_places_for_people() -> None:
    runner, backend = make(slots=8, max_queued=10)
    for number in range(9):
        submit(runner, f"b{number}", priority="batch")
    assert len(backend.running) == 2
    with pytest.raises(Overloaded):
        submit(runner, "b9", priority="batch")
    submit(runner, "l", priority="live")
    assert "l" in backend.running


def test_a_refusal_is_immediate_and_counted() -> None:
    runner, _ = make(slots=1, max_queued=2)
    accepted = [submit(runner, str(number)) for number in range(3)]
    began = time.monotonic()
    with pytest.raises(Overloaded):
        submit(runner, "too many")
    assert time.monotonic() - began < 0.2
    assert runner.info()["refused"] == 1
    assert len(accepted) == 3


def test_a_reader_that_leaves_frees_its_slot_for_the_next() -> None:
    runner, backend = make(slots=1)
    first, _ = submit(runner, "first"), submit(runner, "second")
    first.close()
    assert backend.cancelled == ["first"]
    assert backend.started == ["first", "second"]
    assert runner.info()["cancelled"] == 1


def test_a_reader_that_leaves_the_queue_is_never_started() -> None:
    runner, backend = make(slots=1)
    submit(runner, "first")
    waiting = submit(runner, "second")
    waiting.close()
    backend.finish_all()
    assert backend.started == ["first"]
    assert waiting.stats is not None
    assert waiting.stats.finish_reason == "cancelled"


def test_a_deadline_passes_while_waiting() -> None:
    runner, backend = make(slots=1)
    submit(runner, "first")
    late = submit(runner, "late", deadline_s=0.1)
    with pytest.raises(DeadlineExceeded):
        late.poll(5)
    backend.finish_all()
    assert backend.started == ["first"]
    assert runner.info()["expired"] == 1


def test_a_backend_that_hangs_loses_its_generation_after_the_deadline() -> None:
    runner, backend = make(slots=1)
    stuck, after = submit(runner, "stuck", deadline_s=0.1), submit(runner, "after")
    with pytest.raises(DeadlineExceeded):
        stuck.poll(10)
    assert until(lambda: "after" in backend.running)
    assert backend.cancelled == ["stuck"]
    assert after.stats is None


def test_a_backend_that_refuses_fails_all_that_wait_and_holds_no_slot() -> None:
    runner, backend = make(slots=1)
    backend.refuse = ModelUnavailable("gone")
    generations = [submit(runner, str(number)) for number in range(5)]
    failed = [_error(generation) for generation in generations]
    assert failed == ["gone"] * 5
    assert sum(runner.info()["running"].values()) == 0


def _error(generation: Generation) -> str:
    try:
        generation.poll(1)
    except ModelUnavailable as error:
        return str(error)
    return ""


def test_what_the_backend_cannot_do_is_refused_by_name() -> None:
    runner, _ = make(slots=1)
    with pytest.raises(Unsupported) as caught:
        runner.submit(
            GenerateRequest((ChatMessage("user", "x"),), json_schema={}), priority="live", tenant="a", deadline_s=1
        )
    assert caught.value.parameter == "json_schema"


def test_stop_fails_what_runs_and_waits() -> None:
    runner, _ = make(slots=1)
    generations = [submit(runner, str(number)) for number in range(3)]
    runner.stop()
    assert [_error(generation) for generation in generations] == ["m is stopping"] * 3
    with pytest.raises(ModelUnavailable):
        submit(runner, "after")


def test_a_listener_gets_the_past_and_the_rest_in_order() -> None:
    runner, backend = make(slots=1)
    generation = submit(runner, "first")
    backend.running["first"].piece(Piece("a", 1))
    seen: list[Any] = []
    generation.listen(seen.append)
    backend.finish("first")
    assert [getattr(event, "text", "end") for event in seen] == ["a", "x", "end"]


def test_holder_is_told_once_however_the_generation_ends() -> None:
    runner, backend = make(slots=2)
    ends: list[str] = []
    finished, left = submit(runner, "finished"), submit(runner, "left")
    finished.hold(lambda: ends.append("finished"))
    left.hold(lambda: ends.append("left"))
    backend.finish("finished")
    left.close()
    left.close()
    assert ends == ["finished", "left"]


def test_many_callers_at_once_lose_and_double_nothing() -> None:
    runner, backend = make(slots=4)
    stop = threading.Event()

    def worker() -> None:
        while not stop.is_set():
            for name in list(backend.running):
                if name in backend.running:
                    backend.finish(name)
            time.sleep(0.001)

    finisher = threading.Thread(target=worker)
    finisher.start()
    ended: list[str] = []

    def caller(group: int) -> None:
        for number in range(50):
            generation = submit(runner, f"{group}-{number}", tenant=str(group % 3))
            list(generation)
            ended.append(f"{group}-{number}")

    callers = [threading.Thread(target=caller, args=(group,)) for group in range(8)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(30)
    stop.set()
    finisher.join()
    assert len(ended) == len(set(ended)) == 400
    assert len(backend.started) == 400
    info = runner.info()
    assert (info["finished"], sum(info["running"].values()), sum(info["queued"].values())) == (400, 0, 0)
