"""Generations of one chat model: admitted in order of class and fairness, bounded, ended at their deadlines."""

from __future__ import annotations

import heapq
import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from apps.inference.engine.base import ChatBackend
from apps.inference.engine.errors import DeadlineExceeded, EngineError, ModelUnavailable, Unsupported
from apps.inference.engine.metering import SIZE_BUCKETS, WAIT_BUCKETS_S, Histogram
from apps.inference.engine.precedence import Precedence, Waiting
from apps.inference.engine.scheduler import CLASSES, FairQueue
from apps.inference.engine.types import Capability, FinishReason, GenerateRequest, GenerateStats, Piece, Priority

# A backend ends its generations at their deadlines itself; this much later it counts as hanging.
_HANG_S = 2.0
# Slots that work of a class leaves free for more urgent work, as a share of all.
_RESERVED: dict[Priority, float] = {"live": 0.0, "api": 0.125, "batch": 0.75}

Event = Piece | GenerateStats | EngineError


class Generation:
    """One generation, from submission to its end. Iterate or `poll` for pieces, or `listen` to have them pushed."""

    def __init__(self, owner: ChatRunner, request: GenerateRequest, priority: Priority, tenant: str, deadline_s: float):
        self.request, self.priority, self.tenant = request, priority, tenant
        self.submitted = time.monotonic()
        self.deadline = self.submitted + deadline_s
        self.stats: GenerateStats | None = None
        self.ended = False
        self.started = 0.0
        self.tokens = 0
        self.first_token_s = 0.0
        self.cancel: Callable[[], None] | None = None
        # From admission to the first token.
        self.waiting: Waiting | None = None
        self._owner = owner
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._listener: Callable[[Event], None] | None = None
        self._on_end: Callable[[], None] | None = None

    def __iter__(self) -> Iterator[Piece]:
        while self.stats is None:
            piece = self.poll(0.25)
            if piece is not None:
                yield piece

    def poll(self, timeout_s: float) -> Piece | None:
        """Return the next piece, or None: nothing within `timeout_s`, or the end (then `stats` is set).

        Errors: DeadlineExceeded, PromptTooLong, Unsupported, ModelUnavailable.
        """
        if self.stats is not None:
            return None
        try:
            event = self._events.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(event, Piece):
            return event
        if isinstance(event, EngineError):
            self.stats = self._cut("cancelled")
            raise event
        self.stats = event
        return None

    def listen(self, callback: Callable[[Event], None]) -> None:
        """Have every event passed to `callback`, those of the past first. It is called on the engine's own thread."""
        with self._owner.lock:
            while True:
                try:
                    callback(self._events.get_nowait())
                except queue.Empty:
                    break
            self._listener = callback

    def hold(self, on_end: Callable[[], None]) -> None:
        """Have `on_end` called once when the generation has ended, at once when it has already."""
        with self._owner.lock:
            self._on_end = on_end
            ended = self.ended
        if ended:
            self.let_go()

    def let_go(self) -> None:
        """Call what `hold` was given."""
        with self._owner.lock:
            callback, self._on_end = self._on_end, None
        if callback is not None:
            callback()

    def close(self) -> None:
        """Stop computing. Returns at once; harmless after the end."""
        if self._owner.withdraw(self):
            self.deliver(self._cut("cancelled"))
        if self.stats is None:
            self.stats = self._cut("cancelled")

    # -- the sink of the backend -------------------------------------------------------------------------------------
    def piece(self, piece: Piece) -> None:
        """Called by the backend."""
        if self.ended:
            return
        if not self.first_token_s:
            self.first_token_s = time.monotonic() - self.submitted
            self.waits_no_more()
            self._owner.first_token(self.first_token_s)
        self.tokens += piece.tokens
        self.deliver(piece)

    def end(self, stats: GenerateStats) -> None:
        """Called by the backend, once."""
        if self._owner.finished(self, failed=False):
            total_s = time.monotonic() - self.submitted
            self.deliver(replace(stats, first_token_s=self.first_token_s, total_s=total_s))

    def error(self, error: EngineError) -> None:
        """Called by the backend, once."""
        if self._owner.finished(self, failed=True):
            self.deliver(error)

    def deliver(self, event: Event) -> None:
        """Hand an event to the reader."""
        with self._owner.lock:
            listener = self._listener
            if listener is None:
                self._events.put(event)
                return
        listener(event)

    def waits_no_more(self) -> None:
        """Note the first token, or the end."""
        if self.waiting is not None:
            self.waiting.over()

    def _cut(self, reason: FinishReason) -> GenerateStats:
        total_s = time.monotonic() - self.submitted
        return GenerateStats(0, self.tokens, self.first_token_s, total_s, reason, (reason,) * self.request.n)


@dataclass(slots=True)
class ChatTotals:
    """What happened to the generations of one model."""

    finished: int = 0
    cancelled: int = 0
    failed: int = 0
    refused: int = 0
    expired: int = 0


class ChatRunner:
    """Admits generations to one chat backend: at most `slots` at a time, the others wait in a bounded fair queue."""

    def __init__(self, name: str, backend: ChatBackend, *, max_queued: int, precedence: Precedence) -> None:
        self.name, self.backend, self._precedence = name, backend, precedence
        self.lock = threading.RLock()
        self._queue: FairQueue[Generation] = FairQueue(max_queued)
        self._running: set[Generation] = set()
        self._by_class: dict[Priority, int] = dict.fromkeys(CLASSES, 0)
        self._totals = ChatTotals()
        self._wait_s, self._first_s = Histogram(WAIT_BUCKETS_S), Histogram(WAIT_BUCKETS_S)
        self._batch = Histogram(SIZE_BUCKETS)
        self._deadlines: list[tuple[float, int, Generation]] = []
        self._numbers = itertools.count()
        self._wake = threading.Condition(self.lock)
        self._stopping = False

    def load(self) -> None:
        """Load the backend and begin to watch deadlines."""
        self.backend.load()
        threading.Thread(target=self._watch, name=f"deadlines-{self.name}", daemon=True).start()

    def submit(self, request: GenerateRequest, *, priority: Priority, tenant: str, deadline_s: float) -> Generation:
        """Start a generation or queue it. Raises Overloaded, Unsupported, ModelUnavailable."""
        check_capabilities(self.name, request, self.backend.capabilities)
        generation = Generation(self, request, priority, tenant, deadline_s)
        with self.lock:
            if self._stopping:
                raise ModelUnavailable(f"{self.name} is stopping")
            try:
                self._queue.push([generation], priority=priority, tenant=tenant)
            except EngineError:
                # With a slot free nothing waits, so a full queue says nothing about this one.
                self._totals.refused += 1
                raise
            generation.waiting = self._precedence.wait(priority)
            heapq.heappush(self._deadlines, (generation.deadline, next(self._numbers), generation))
            self._wake.notify()
        self._pump()
        return generation

    def withdraw(self, generation: Generation) -> bool:
        """Take a generation out, waiting or running, because its reader has left; False when it has ended."""
        with self.lock:
            if generation.ended:
                return False
            self._leave(generation)
            self._totals.cancelled += 1
            cancel = generation.cancel
        if cancel is not None:
            cancel()
        self._after_end(generation)
        return True

    def finished(self, generation: Generation, *, failed: bool) -> bool:
        """Note the end that the backend reports; False when it had ended before."""
        with self.lock:
            if generation.ended:
                return False
            self._leave(generation)
            self._totals.failed += failed
            self._totals.finished += not failed
        self._after_end(generation)
        return True

    def first_token(self, seconds: float) -> None:
        """Count a generation's time to its first token when it comes: one that is cut short has been waited for too."""
        with self.lock:
            self._first_s.observe(seconds)

    def health(self) -> bool:
        """Return whether the backend answers."""
        return not self._stopping and self.backend.health()

    def stop(self) -> None:
        """Refuse new work, end what waits and runs, free the backend."""
        with self.lock:
            self._stopping = True
            left = [*self._queue.drain(), *self._running]
            self._wake.notify_all()
        for generation in left:
            generation.error(ModelUnavailable(f"{self.name} is stopping"))
            if generation.cancel is not None:
                generation.cancel()
        self.backend.stop()

    def info(self) -> dict[str, Any]:
        """Return counters and histograms as plain values."""
        counters = self.backend.info()
        with self.lock:
            totals = self._totals
            return {
                "slots": self.backend.slots,
                "running": {name: self._by_class[name] for name in CLASSES},
                "queued": {name: self._queue.depth(name) for name in CLASSES},
                "finished": totals.finished,
                "cancelled": totals.cancelled,
                "failed": totals.failed,
                "refused": totals.refused,
                "expired": totals.expired,
                "restarts": counters.restarts,
                "prompt_tokens": counters.prompt_tokens,
                "cached_tokens": counters.cached_tokens,
                "generated_tokens": counters.generated_tokens,
                "cache_usage": counters.cache_usage,
                "wait_s": self._wait_s.as_dict(),
                "first_token_s": self._first_s.as_dict(),
                "batch": self._batch.as_dict(),
            }

    # -- inside ------------------------------------------------------------------------------------------------------
    def _may_start(self, priority: Priority) -> bool:
        slots = self.backend.slots
        if len(self._running) >= slots:
            return False
        return self._by_class[priority] < max(1, slots - int(slots * _RESERVED[priority]))

    def _pump(self) -> None:
        """Start what may start. The backend is called outside the lock: it may answer from another thread at once."""
        while True:
            with self.lock:
                taken = None if self._stopping else self._queue.pop(self._may_start)
                if taken is None:
                    return
                generation = taken[1]
                now = time.monotonic()
                generation.started = now
                self._running.add(generation)
                self._by_class[generation.priority] += 1
                self._wait_s.observe(now - generation.submitted)
                self._batch.observe(len(self._running))
            try:
                cancel = self.backend.start(
                    generation.request, generation, deadline_s=max(0.01, generation.deadline - now)
                )
            except EngineError as error:
                generation.error(error)
                continue
            with self.lock:
                generation.cancel = cancel
                gone = generation.ended
            if gone:
                cancel()

    def _leave(self, generation: Generation) -> None:
        """Mark the end and give the slot or the place back. Called under the lock."""
        generation.ended = True
        generation.waits_no_more()
        if generation in self._running:
            self._running.discard(generation)
            self._by_class[generation.priority] -= 1
        else:
            self._queue.remove(generation, priority=generation.priority, tenant=generation.tenant)

    def _after_end(self, generation: Generation) -> None:
        self._pump()
        generation.let_go()

    def _watch(self) -> None:
        """End generations that wait beyond their deadline, or whose backend hangs beyond it."""
        while True:
            late: list[Generation] = []
            with self.lock:
                if self._stopping:
                    return
                now = time.monotonic()
                while self._deadlines and self._deadlines[0][0] <= now:
                    generation = heapq.heappop(self._deadlines)[2]
                    if generation.ended:
                        continue
                    if generation.started and now < generation.deadline + _HANG_S:
                        entry = (generation.deadline + _HANG_S, next(self._numbers), generation)
                        heapq.heappush(self._deadlines, entry)
                        continue
                    late.append(generation)
                if not late:
                    self._wake.wait(self._deadlines[0][0] - now if self._deadlines else None)
            for generation in late:
                self._expire(generation)

    def _expire(self, generation: Generation) -> None:
        with self.lock:
            if generation.ended:
                return
            self._leave(generation)
            self._totals.expired += 1
        if generation.cancel is not None:
            generation.cancel()
        generation.deliver(DeadlineExceeded("the engine did not answer before the deadline"))
        self._after_end(generation)


def check_capabilities(name: str, request: GenerateRequest, has: frozenset[Capability]) -> None:
    """Raise Unsupported, naming the parameter, for what the model's backend cannot do."""
    wanted: dict[Capability, bool] = {
        "logprobs": request.logprobs is not None,
        "top_logprobs": bool(request.logprobs),
        "json_schema": request.json_schema is not None,
        "beams": request.beams > 1,
        "min_p": request.min_p > 0,
        "adapters": bool(request.adapter),
        "prompt": request.prompt is not None,
    }
    for capability, asked in wanted.items():
        if asked and capability not in has:
            raise Unsupported(capability, f"{name} cannot do {capability}; see the capabilities in the list of models")
