"""The runner of models that work in batches: long items in parts, deadlines in the middle, organisations by turns."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from apps.inference.engine.base import GiveWay, Prepared, stay
from apps.inference.engine.batching import SHORT_TOKENS, BatchRunner
from apps.inference.engine.errors import DeadlineExceeded, ModelUnavailable, Overloaded
from apps.inference.engine.precedence import Precedence
from apps.inference.engine.types import BatchItem, Priority

WAIT_S = 30.0


class Backend:
    """An item is a text; those with "|" are long: what is between the bars is computed one by one. Each has size 10."""

    labels: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.began, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def load(self) -> None: ...

    def stop(self) -> None: ...

    def prepare(self, items: Sequence[BatchItem]) -> list[Prepared]:
        made = []
        for item in items:
            parts = tuple(Prepared(10, part) for part in str(item).split("|"))
            made.append(Prepared(10 * len(parts), item, False, parts, "".join) if len(parts) > 1 else parts[0])
        return made

    def run(self, batch: Sequence[Prepared], give_way: GiveWay = stay, /) -> list[Any]:
        self.batches.append([one.payload for one in batch])
        self.began.set()
        assert self.go_on.wait(WAIT_S)
        give_way()
        return [one.payload.upper() for one in batch]


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def runner(backend: Backend) -> Iterator[BatchRunner]:
    made = BatchRunner("x", backend, budget_tokens=40, max_queued=1000, precedence=Precedence())
    made.load()
    yield made
    backend.go_on.set()
    made.stop()


def ask(
    runner: BatchRunner,
    items: Sequence[str],
    *,
    tenant: str = "a",
    priority: Priority = "api",
    deadline_s: float = WAIT_S,
) -> Any:
    return runner.run(items, priority=priority, tenant=tenant, deadline_s=deadline_s).values


def aside(runner: BatchRunner, items: Sequence[str], **more: Any) -> threading.Thread:
    def wait() -> None:
        try:
            ask(runner, items, **more)
        except DeadlineExceeded:
            return

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_a_long_item_is_put_together_of_its_parts(runner: BatchRunner) -> None:
    assert ask(runner, ["one|two|three", "b", "c|d"]) == ("ONETWOTHREE", "B", "CD")


def test_no_batch_is_larger_than_the_budget_however_long_an_item(runner: BatchRunner, backend: Backend) -> None:
    ask(runner, ["|".join("abcdefghij")])
    assert max(map(len, backend.batches)) <= 4


def test_the_tokens_of_a_backend_that_wants_few_at_a_time_bound_its_batches() -> None:
    backend: Any = Backend()
    backend.batch_tokens = 20
    runner = BatchRunner("x", backend, budget_tokens=40, max_queued=1000, precedence=Precedence())
    runner.load()
    ask(runner, ["|".join("abcdefghij")])
    runner.stop()
    assert max(map(len, backend.batches)) == 2


def test_one_text_waits_for_few_batches_of_another_organisation_and_not_for_all(
    runner: BatchRunner, backend: Backend
) -> None:
    backend.go_on.clear()
    many = aside(runner, ["x"] * 300, tenant="many")
    assert backend.began.wait(WAIT_S)
    one = aside(runner, ["one"], tenant="one")
    while not runner.info()["queued"]["api"] or len(runner._line.queue._queues["api"]) < 2:
        one.join(0.001)
    backend.go_on.set()
    one.join(WAIT_S)
    many.join(WAIT_S)
    assert next(number for number, batch in enumerate(backend.batches) if "one" in batch) <= 3


def test_parts_of_one_organisation_do_not_fill_the_queue_of_another(runner: BatchRunner, backend: Backend) -> None:
    backend.go_on.clear()
    aside(runner, ["x"] * 4, tenant="one")
    assert backend.began.wait(WAIT_S)
    aside(runner, ["x"], tenant="other")
    while len(runner._line.queue._queues["api"]) < 1:
        threading.Event().wait(0.001)
    with pytest.raises(Overloaded):
        ask(runner, ["|".join("x" * 900)], tenant="many")
    backend.go_on.set()
    assert ask(runner, ["y"], tenant="one") == ("Y",)


def test_a_batch_ends_where_it_looks_when_nobody_waits_any_more(runner: BatchRunner, backend: Backend) -> None:
    backend.go_on.clear()
    with pytest.raises(DeadlineExceeded):
        ask(runner, ["|".join("x" * 100)], deadline_s=0.2)
    backend.go_on.set()
    assert ask(runner, ["next"]) == ("NEXT",)
    # Of the hundred parts none was computed after the first batch.
    assert [batch for batch in backend.batches[1:] if "x" in batch] == []
    assert runner.info()["items"] == 1


class TwoLines(Backend):
    """A backend that computes what is short beside the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.short: list[list[str]] = []
        self.short_began, self.short_go_on = threading.Event(), threading.Event()
        self.short_go_on.set()

    def run_short(self, batch: Sequence[Prepared], give_way: GiveWay = stay, /) -> list[Any]:
        self.short.append([one.payload for one in batch])
        self.short_began.set()
        assert self.short_go_on.wait(WAIT_S)
        give_way()
        return [one.payload.upper() for one in batch]


LONG = "|".join("x" * (SHORT_TOKENS // 10 + 1))


@pytest.fixture
def two() -> TwoLines:
    return TwoLines()


@pytest.fixture
def two_lines(two: TwoLines) -> Iterator[BatchRunner]:
    made = BatchRunner("x", two, budget_tokens=400, max_queued=1000, precedence=Precedence())
    made.load()
    yield made
    two.go_on.set()
    two.short_go_on.set()
    made.stop()


@pytest.mark.parametrize("priority", ["live", "api"])
def test_a_short_call_is_answered_while_a_long_text_is_computed(
    two_lines: BatchRunner, two: TwoLines, priority: Priority
) -> None:
    two.go_on.clear()
    long = aside(two_lines, [LONG], tenant="a", priority="live")
    assert two.began.wait(WAIT_S)
    assert ask(two_lines, ["one"], tenant="b", priority=priority) == ("ONE",)
    assert long.is_alive()
    two.go_on.set()
    long.join(WAIT_S)


def test_many_short_items_in_one_call_are_a_long_call(two_lines: BatchRunner, two: TwoLines) -> None:
    ask(two_lines, ["x"] * (SHORT_TOKENS // 10 + 1))
    assert two.short == []


def test_nobody_waits_for_a_batch_so_it_takes_no_place_among_the_short(two_lines: BatchRunner, two: TwoLines) -> None:
    assert ask(two_lines, ["x"], priority="batch") == ("X",)
    assert two.short == []


def test_both_threads_compute_what_is_short_when_nothing_else_waits(two_lines: BatchRunner, two: TwoLines) -> None:
    two.go_on.clear()
    two.short_go_on.clear()
    threads = [aside(two_lines, ["one"])]
    while not (two.began.is_set() or two.short_began.is_set()):
        time.sleep(0.001)
    threads.append(aside(two_lines, ["other"]))
    assert two.began.wait(WAIT_S)
    assert two.short_began.wait(WAIT_S)
    assert two_lines.info()["running"]["api"] == 2
    two.go_on.set()
    two.short_go_on.set()
    for thread in threads:
        thread.join(WAIT_S)
    assert sorted(text for batch in two.batches + two.short for text in batch) == ["one", "other"]


def test_organisations_take_turns_among_the_short(two_lines: BatchRunner, two: TwoLines) -> None:
    two.go_on.clear()
    two.short_go_on.clear()
    threads = [aside(two_lines, [f"x{number}"], tenant="many") for number in range(200)]
    while two_lines.info()["queued"]["api"] < 100:
        time.sleep(0.001)
    threads.append(aside(two_lines, ["one"], tenant="one"))
    while len(two_lines._short_line.queue._queues["api"]) < 2:  # type: ignore[union-attr]
        time.sleep(0.001)
    before = len(two.batches) + len(two.short)
    two.go_on.set()
    two.short_go_on.set()
    for thread in threads:
        thread.join(WAIT_S)
    later = [len(two.short[:place]) for place, batch in enumerate(two.short) if "one" in batch]
    later += [len(two.batches[:place]) for place, batch in enumerate(two.batches) if "one" in batch]
    assert later[0] <= before


def test_a_stop_fails_what_is_short_too(two: TwoLines) -> None:
    runner = BatchRunner("x", two, budget_tokens=40, max_queued=1000, precedence=Precedence())
    runner.load()
    two.go_on.clear()
    two.short_go_on.clear()
    failures: list[BaseException] = []

    def call(text: str) -> None:
        try:
            ask(runner, [text])
        except ModelUnavailable as error:
            failures.append(error)

    threads = [threading.Thread(target=call, args=[text], daemon=True) for text in "abcdef"]
    for thread in threads:
        thread.start()
    while runner.info()["queued"]["api"] + sum(runner.info()["running"].values()) < 3:
        time.sleep(0.001)
    stopping = threading.Thread(target=runner.stop)
    stopping.start()
    while not runner._stopping:
        time.sleep(0.001)
    two.go_on.set()
    two.short_go_on.set()
    for thread in [*threads, stopping]:
        thread.join(WAIT_S)
    assert failures
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("priority", ["live", "api", "batch"])
def test_work_is_reported_in_its_own_class(runner: BatchRunner, backend: Backend, priority: Priority) -> None:
    backend.go_on.clear()
    aside(runner, ["x"], priority=priority)
    assert backend.began.wait(WAIT_S)
    assert runner.info()["running"] == {"live": 0, "api": 0, "batch": 0} | {priority: 1}
    backend.go_on.set()
