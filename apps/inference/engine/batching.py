"""Items of all concurrent callers of one model, joined into batches by a budget of tokens, shortest together."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from apps.inference.engine.base import BatchBackend, GiveWay, Prepared
from apps.inference.engine.errors import BatchLost, DeadlineExceeded, EngineError, ModelUnavailable
from apps.inference.engine.metering import SIZE_BUCKETS, WAIT_BUCKETS_S, Histogram
from apps.inference.engine.precedence import Precedence
from apps.inference.engine.scheduler import CLASSES, FairQueue
from apps.inference.engine.types import BatchItem, BatchResult, Priority

_BATCH_ITEMS = 64
# What is sorted by length at a time: enough for even batches. All of it runs before what comes later, so it is no more than
# one batch: whoever comes with one text beside an organisation with a thousand waits for that, not for the thousand.
_SORT_WINDOW = 512
_WINDOW_BATCHES = 1
# Work that nobody watches comes in smaller batches, since others for the same model wait for all of it, and stands back
# for those who wait for an answer; but no longer than this for each batch, so that it gets on beside people who never
# stop asking. An eighth of the budget takes some 70 ms; a sixteenth halved the speed of translations.
_BACKGROUND_SHARE = 8
_STAND_BACK_S = 0.5
_LOOK_S = 0.004
# A model that computes one batch for longer than this is stuck.
_STUCK_S = 30.0
# How long a stop waits for what is computed.
_STOP_S = 5.0
# A call of so many tokens is short: a customer's message, a question, a label. It computes for some 10 to 40 ms.
SHORT_TOKENS = 128


class _Call:
    """One caller's items, filled part by part."""

    def __init__(self, prepared: Sequence[Prepared], deadline: float) -> None:
        self._prepared = prepared
        self._found: list[list[Any]] = [[None] * max(1, len(one.parts)) for one in prepared]
        self._left = sum(map(len, self._found))
        self.submitted = time.monotonic()
        self.deadline = deadline
        self.done = threading.Event()
        self.error: Exception | None = None

    def items(self) -> list[_Item]:
        """Return what is to be computed, shortest first: the batches of a call are even without waiting for others."""
        made = [
            _Item(self, row, place, part)
            for row, one in enumerate(self._prepared)
            for place, part in enumerate(one.parts or (one,))
        ]
        made.sort(key=lambda item: item.prepared.size)
        return made

    def put(self, item: _Item, value: Any) -> None:
        """Take one result; the last one ends the call."""
        self._found[item.row][item.place] = value
        self._left -= 1
        if not self._left:
            self.done.set()

    def values(self) -> tuple[Any, ...]:
        """Return one value per item, when all are there."""
        return tuple(
            found[0] if one.join is None else one.join(found)
            for one, found in zip(self._prepared, self._found, strict=True)
        )

    def fail(self, error: Exception) -> None:
        self.error = error
        self.done.set()

    def over(self, now: float) -> bool:
        """Return whether nobody waits for what is left of it."""
        return self.deadline <= now or self.error is not None


@dataclass(slots=True, eq=False)
class _Item:
    call: _Call
    row: int
    place: int
    prepared: Prepared


class _Line:
    """What waits for one thread: items by class and organisation, and batches that are made of the first of them."""

    def __init__(self, max_queued: int) -> None:
        self.queue: FairQueue[_Item] = FairQueue(max_queued)
        self.ready: dict[Priority, deque[list[_Item]]] = {name: deque() for name in CLASSES}

    def depth(self, name: Priority) -> int:
        """Return how many items of a class wait."""
        return self.queue.depth(name) + sum(map(len, self.ready[name]))

    def urgent(self) -> int:
        """Return the place in CLASSES of the most urgent item; len(CLASSES) when nothing waits."""
        return next((place for place, name in enumerate(CLASSES) if self.depth(name)), len(CLASSES))

    def drain(self) -> list[_Item]:
        """Remove and return everything."""
        items = [item for batches in self.ready.values() for batch in batches for item in batch]
        for batches in self.ready.values():
            batches.clear()
        return items + self.queue.drain()


@dataclass(slots=True, eq=False)
class _Worker:
    """A thread and what it computes now."""

    compute: Callable[[Sequence[Prepared], GiveWay], list[Any]]
    thread: threading.Thread | None = None
    since: float = 0.0
    priority: Priority | None = None


class BatchRunner:
    """Runs one batch backend. Live work overtakes the rest between two batches.

    A backend that has `run_short` computes on two threads: calls of up to SHORT_TOKENS tokens wait in a line of their
    own, which one thread serves alone and the other one when nothing longer waits. So one line of text does not wait for
    the long texts of others, whatever is in them. Each line takes up to `max_queued` items.
    """

    def __init__(
        self, name: str, backend: BatchBackend, *, budget_tokens: int, max_queued: int, precedence: Precedence
    ) -> None:
        self.name, self.backend = name, backend
        self._budget = min(budget_tokens, getattr(backend, "batch_tokens", budget_tokens))
        self._precedence = precedence
        self._condition = threading.Condition()
        self._line = _Line(max_queued)
        self._worker = _Worker(backend.run)
        short: Callable[[Sequence[Prepared], GiveWay], list[Any]] | None = getattr(backend, "run_short", None)
        self._short_line = _Line(max_queued) if short else None
        self._short_worker = _Worker(short) if short else None
        self._items = self._tokens = self._batches = self._expired = self._refused = self._failed = 0
        self._wait_s, self._batch = Histogram(WAIT_BUCKETS_S), Histogram(SIZE_BUCKETS)
        self._stopping = False
        self._stands_back_until = 0.0

    def load(self) -> None:
        """Load the backend and start its threads."""
        self.backend.load()
        for worker, work in ((self._worker, self._run), (self._short_worker, self._run_short)):
            if worker is not None:
                worker.thread = threading.Thread(target=work, name=f"batch-{self.name}", daemon=True)
                worker.thread.start()

    def run(self, items: Sequence[BatchItem], *, priority: Priority, tenant: str, deadline_s: float) -> BatchResult:
        """Return one value per item, in input order. Raises Overloaded, DeadlineExceeded, ModelUnavailable."""
        if not items:
            return BatchResult(())
        waiting = self._precedence.wait(priority)
        try:
            return self._run_call(items, priority, tenant, deadline_s)
        finally:
            waiting.over()

    def _run_call(self, items: Sequence[BatchItem], priority: Priority, tenant: str, deadline_s: float) -> BatchResult:
        prepared = self.backend.prepare(items)
        call = _Call(prepared, time.monotonic() + deadline_s)
        queued, tokens = call.items(), sum(one.size for one in prepared)
        short = priority != CLASSES[-1] and tokens <= SHORT_TOKENS
        line = self._short_line if short and self._short_line is not None else self._line
        with self._condition:
            if self._stopping or self._worker.thread is None:
                raise ModelUnavailable(f"{self.name} is not running")
            try:
                line.queue.push(queued, priority=priority, tenant=tenant)
            except EngineError:
                self._refused += 1
                raise
            self._condition.notify_all()
        if not call.done.wait(max(0.0, call.deadline - time.monotonic())):
            # What still waits is dropped when its turn comes; what is computed ends where the backend next looks.
            raise DeadlineExceeded("the items were not computed before the deadline")
        if call.error is not None:
            raise call.error
        truncated = tuple(row for row, one in enumerate(prepared) if one.truncated)
        return BatchResult(call.values(), truncated, tokens)

    def health(self) -> bool:
        """Return whether the threads are alive and none is stuck in one batch."""
        now = time.monotonic()
        return not self._stopping and all(
            worker.thread is not None
            and worker.thread.is_alive()
            and not (worker.since and now - worker.since > _STUCK_S)
            for worker in self._workers()
        )

    def stop(self) -> None:
        """Refuse new items, fail those that wait, free the backend."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        until = time.monotonic() + _STOP_S
        for worker in self._workers():
            if worker.thread is not None:
                worker.thread.join(max(0.0, until - time.monotonic()))
        self.backend.stop()

    def info(self) -> dict[str, Any]:
        """Return counters and histograms as plain values."""
        with self._condition:
            computing = [worker.priority for worker in self._workers()]
            return {
                "queued": {name: sum(line.depth(name) for line in self._lines()) for name in CLASSES},
                "running": {name: computing.count(name) for name in CLASSES},
                "items": self._items,
                "tokens": self._tokens,
                "batches": self._batches,
                "expired": self._expired,
                "refused": self._refused,
                "failed": self._failed,
                "wait_s": self._wait_s.as_dict(),
                "batch": self._batch.as_dict(),
            }

    def _lines(self) -> list[_Line]:
        return [line for line in (self._line, self._short_line) if line is not None]

    def _workers(self) -> list[_Worker]:
        return [worker for worker in (self._worker, self._short_worker) if worker is not None]

    # -- the threads -------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        """Serve what is most urgent; of two lines as urgent the long one, which nobody else serves."""
        worker = self._worker
        while True:
            with self._condition:
                self._rest(worker, self._lines())
                self._stands_back_until = time.monotonic() + _STAND_BACK_S
                self._stand_back()
                if self._stopping:
                    self._fail_waiting()
                    return
                line = min(self._lines(), key=_Line.urgent)
                if line.urgent() == len(CLASSES):
                    # The other thread was faster.
                    continue
                name = CLASSES[line.urgent()]
                budget = self._budget // _BACKGROUND_SHARE if name == CLASSES[-1] else self._budget
                taken = [self._take(line, name, budget)] if line is self._line else self._take_all(line, name, budget)
            for batch in taken:
                self._serve(worker, batch, name)

    def _run_short(self) -> None:
        worker, line = self._short_worker, self._short_line
        assert worker is not None  # noqa: S101  (load starts this thread with both)
        assert line is not None  # noqa: S101
        while True:
            with self._condition:
                self._rest(worker, [line])
                if self._stopping:
                    self._fail_waiting()
                    return
                name = CLASSES[line.urgent()]
                taken = self._take_all(line, name, min(self._budget, 2 * SHORT_TOKENS))
            for batch in taken:
                self._serve(worker, batch, name)

    def _rest(self, worker: _Worker, lines: Sequence[_Line]) -> None:
        """Return when something waits in one of the lines, or the runner stops. Called under the lock."""
        worker.since, worker.priority = 0.0, None
        while not self._stopping and all(line.urgent() == len(CLASSES) for line in lines):
            self._condition.wait()

    def _serve(self, worker: _Worker, batch: list[_Item], name: Priority) -> None:
        if batch:
            with self._condition:
                worker.since, worker.priority = time.monotonic(), name
            self._compute(worker, batch, self._check_of(batch, stands_back=name == CLASSES[-1]))

    def _fail_waiting(self) -> None:
        for item in [item for line in self._lines() for item in line.drain()]:
            item.call.fail(ModelUnavailable(f"{self.name} is stopping"))

    def _stand_back(self) -> None:
        """Let those go first who wait for another model, while nobody waits for this one. Called under the lock."""
        while (
            not self._stopping
            and self._precedence.taken
            and all(line.urgent() >= len(CLASSES) - 1 for line in self._lines())
            and time.monotonic() < self._stands_back_until
        ):
            # A look costs microseconds, and being told would need every model to know every other.
            self._condition.wait(_LOOK_S)

    def _check_of(self, batch: Sequence[_Item], *, stands_back: bool) -> GiveWay:
        """Return what the backend calls in the middle of `batch`: it ends a batch that nobody waits for any more."""
        calls = {item.call for item in batch}

        def check() -> None:
            now = time.monotonic()
            if self._stopping:
                raise ModelUnavailable(f"{self.name} is stopping")
            if all(call.over(now) for call in calls):
                raise DeadlineExceeded("the items were not computed before the deadline")
            if stands_back and self._precedence.taken:
                with self._condition:
                    self._stand_back()

        return check

    def _take(self, line: _Line, name: Priority, budget: int) -> list[_Item]:
        """Take the next batch of a class that has one. Called under the lock."""
        if not line.ready[name]:
            line.ready[name].extend(_batches(self._window(line, name), budget))
        return self._alive(line.ready[name].popleft()) if line.ready[name] else []

    def _take_all(self, line: _Line, name: Priority, budget: int) -> list[list[_Item]]:
        """Take one window of a line that several threads serve: nothing stays with a thread that is busy."""
        return [self._alive(batch) for batch in _batches(self._window(line, name, budget), budget)]

    def _alive(self, batch: list[_Item]) -> list[_Item]:
        now = time.monotonic()
        alive = [item for item in batch if not item.call.over(now)]
        self._expired += len(batch) - len(alive)
        for item in alive:
            self._wait_s.observe(now - item.call.submitted)
        return alive

    def _window(self, line: _Line, name: Priority, most_tokens: int = 0) -> list[_Item]:
        """Take what is sorted together: organisations by turns, up to some batches. Called under the lock."""
        window: list[_Item] = []
        tokens, most_tokens = 0, most_tokens or _WINDOW_BATCHES * self._budget
        while line.queue.depth(name) and len(window) < _SORT_WINDOW and tokens < most_tokens:
            item = line.queue.pop_class(name)
            if item.call.over(time.monotonic()):
                self._expired += 1
                continue
            window.append(item)
            tokens += item.prepared.size
        return window

    def _compute_again(self, worker: _Worker, batch: list[_Item], error: BatchLost) -> None:
        """One of the items cost a process its life: each is tried alone, so that it takes no other one with it."""
        if len(batch) > 1:
            for item in batch:
                if not item.call.over(time.monotonic()):
                    worker.since = time.monotonic()
                    self._compute(worker, [item], self._check_of([item], stands_back=False))
            return
        with self._condition:
            self._failed += 1
        late = DeadlineExceeded("the text took longer to compute than any may")
        batch[0].call.fail(late if error.late else error)

    def _compute(self, worker: _Worker, batch: list[_Item], give_way: GiveWay) -> None:
        try:
            values = worker.compute([item.prepared for item in batch], give_way)
        except BatchLost as error:
            self._compute_again(worker, batch, error)
            return
        except Exception as error:  # noqa: BLE001  (whatever it is, the callers must hear of it)
            failure = error if isinstance(error, EngineError) else ModelUnavailable(f"{self.name} failed: {error}")
            with self._condition:
                self._failed += len(batch)
            for item in batch:
                item.call.fail(failure)
            return
        with self._condition:
            self._batches += 1
            self._items += len(batch)
            self._tokens += sum(item.prepared.size for item in batch)
            self._batch.observe(len(batch))
            for item, value in zip(batch, values, strict=True):
                item.call.put(item, value)


def _batches(items: list[_Item], budget_tokens: int) -> list[list[_Item]]:
    """Cut `items`, sorted by length, into batches of at most `budget_tokens` tokens with padding."""
    batches: list[list[_Item]] = []
    for item in sorted(items, key=lambda item: item.prepared.size):
        last = batches[-1] if batches else None
        if last and len(last) < _BATCH_ITEMS and (len(last) + 1) * item.prepared.size <= budget_tokens:
            last.append(item)
        else:
            batches.append([item])
    return batches
