"""Items of all concurrent callers of one model, joined into batches by a budget of tokens, shortest together."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
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


class BatchRunner:
    """Runs one batch backend on one thread. Live work overtakes the rest between two batches."""

    def __init__(
        self, name: str, backend: BatchBackend, *, budget_tokens: int, max_queued: int, precedence: Precedence
    ) -> None:
        self.name, self.backend = name, backend
        self._budget = min(budget_tokens, getattr(backend, "batch_tokens", budget_tokens))
        self._precedence = precedence
        self._condition = threading.Condition()
        self._queue: FairQueue[_Item] = FairQueue(max_queued)
        self._ready: dict[Priority, deque[list[_Item]]] = {name: deque() for name in CLASSES}
        self._in_ready = 0
        self._items = self._tokens = self._batches = self._expired = self._refused = self._failed = 0
        self._wait_s, self._batch = Histogram(WAIT_BUCKETS_S), Histogram(SIZE_BUCKETS)
        self._stopping = False
        self._computing_since = self._stands_back_until = 0.0
        self._computing_for: Priority | None = None
        self._thread: threading.Thread | None = None

    def load(self) -> None:
        """Load the backend and start the thread."""
        self.backend.load()
        self._thread = threading.Thread(target=self._run, name=f"batch-{self.name}", daemon=True)
        self._thread.start()

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
        queued = call.items()
        with self._condition:
            if self._stopping or self._thread is None:
                raise ModelUnavailable(f"{self.name} is not running")
            try:
                self._queue.push(queued, priority=priority, tenant=tenant)
            except EngineError:
                self._refused += 1
                raise
            self._condition.notify()
        if not call.done.wait(max(0.0, call.deadline - time.monotonic())):
            # What still waits is dropped when its turn comes; what is computed ends where the backend next looks.
            raise DeadlineExceeded("the items were not computed before the deadline")
        if call.error is not None:
            raise call.error
        truncated = tuple(row for row, one in enumerate(prepared) if one.truncated)
        return BatchResult(call.values(), truncated, sum(one.size for one in prepared))

    def health(self) -> bool:
        """Return whether the thread is alive and not stuck in one batch."""
        alive = self._thread is not None and self._thread.is_alive() and not self._stopping
        since = self._computing_since
        return alive and not (since and time.monotonic() - since > _STUCK_S)

    def stop(self) -> None:
        """Refuse new items, fail those that wait, free the backend."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(5.0)
        self.backend.stop()

    def info(self) -> dict[str, Any]:
        """Return counters and histograms as plain values."""
        with self._condition:
            waiting = {name: self._queue.depth(name) + sum(map(len, self._ready[name])) for name in CLASSES}
            return {
                "queued": waiting,
                "running": {name: int(name == self._computing_for) for name in CLASSES},
                "items": self._items,
                "tokens": self._tokens,
                "batches": self._batches,
                "expired": self._expired,
                "refused": self._refused,
                "failed": self._failed,
                "wait_s": self._wait_s.as_dict(),
                "batch": self._batch.as_dict(),
            }

    # -- the thread --------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        while True:
            with self._condition:
                self._computing_since, self._computing_for = 0.0, None
                while not len(self._queue) and not self._in_ready and not self._stopping:
                    self._condition.wait()
                self._stands_back_until = time.monotonic() + _STAND_BACK_S
                self._stand_back()
                if self._stopping:
                    self._fail_waiting()
                    return
                name = self._most_urgent()
                batch = self._take(name)
                if batch:
                    self._computing_since, self._computing_for = time.monotonic(), name
            if batch:
                self._compute(batch, self._check_of(batch, stands_back=name == CLASSES[-1]))

    def _fail_waiting(self) -> None:
        ready = [item for batches in self._ready.values() for batch in batches for item in batch]
        for item in [*self._queue.drain(), *ready]:
            item.call.fail(ModelUnavailable(f"{self.name} is stopping"))
        for batches in self._ready.values():
            batches.clear()
        self._in_ready = 0

    def _most_urgent(self) -> Priority:
        return next(name for name in CLASSES if self._ready[name] or self._queue.depth(name))

    def _stand_back(self) -> None:
        """Let those go first who wait for another model, while nobody waits for this one. Called under the lock."""
        while (
            not self._stopping
            and self._precedence.taken
            and not any(self._ready[name] or self._queue.depth(name) for name in CLASSES[:-1])
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

    def _take(self, name: Priority) -> list[_Item]:
        """Take the next batch of a class that has one. Called under the lock."""
        if not self._ready[name]:
            window = self._window(name)
            budget = self._budget // _BACKGROUND_SHARE if name == CLASSES[-1] else self._budget
            self._ready[name].extend(_batches(window, budget))
            self._in_ready += len(window)
        if not self._ready[name]:
            return []
        batch = self._ready[name].popleft()
        self._in_ready -= len(batch)
        now = time.monotonic()
        alive = [item for item in batch if not item.call.over(now)]
        self._expired += len(batch) - len(alive)
        for item in alive:
            self._wait_s.observe(now - item.call.submitted)
        return alive

    def _window(self, name: Priority) -> list[_Item]:
        """Take what is sorted together: organisations by turns, up to some batches. Called under the lock."""
        window: list[_Item] = []
        tokens = 0
        while self._queue.depth(name) and len(window) < _SORT_WINDOW and tokens < _WINDOW_BATCHES * self._budget:
            item = self._queue.pop_class(name)
            if item.call.over(time.monotonic()):
                self._expired += 1
                continue
            window.append(item)
            tokens += item.prepared.size
        return window

    def _compute_again(self, batch: list[_Item], error: BatchLost) -> None:
        """One of the items cost a process its life: each is tried alone, so that it takes no other one with it."""
        if len(batch) > 1:
            for item in batch:
                if not item.call.over(time.monotonic()):
                    self._computing_since = time.monotonic()
                    self._compute([item], self._check_of([item], stands_back=False))
            return
        with self._condition:
            self._failed += 1
        late = DeadlineExceeded("the text took longer to compute than any may")
        batch[0].call.fail(late if error.late else error)

    def _compute(self, batch: list[_Item], give_way: GiveWay) -> None:
        try:
            values = self.backend.run([item.prepared for item in batch], give_way)
        except BatchLost as error:
            self._compute_again(batch, error)
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
