"""The loaded models: made on first use, kept under a memory budget, the least recently used unloaded first.

A model in use is never unloaded: users hold a lease. A new version is loaded beside the old one when memory allows,
takes over at once, and the old one goes when its last user has left.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from apps.inference.engine.errors import EngineError, ModelUnavailable, NotEnoughMemory, Overloaded
from apps.inference.engine.types import ModelSpec

logger = logging.getLogger(__name__)

# A model that did not load is not tried again at once: each try may take many seconds.
_RETRY_FAILED_S = 10.0


class Runner(Protocol):
    """What the pool keeps: a ChatRunner or a BatchRunner."""

    def load(self) -> None: ...

    def stop(self) -> None: ...

    def info(self) -> dict[str, Any]: ...


@dataclass(eq=False, slots=True)
class _Entry:
    spec: ModelSpec
    memory_mb: int
    pinned: bool
    runner: Any = None
    state: str = "loading"
    leases: int = 0
    used: float = field(default_factory=time.monotonic)
    load_s: float = 0.0


class Lease:
    """The right to use a model; `release` gives it back, once."""

    def __init__(self, pool: ModelPool, entry: _Entry) -> None:
        self._pool, self._entry = pool, entry
        self._lock = threading.Lock()
        self._held = True

    @property
    def runner(self) -> Any:
        """The model's runner."""
        return self._entry.runner

    def release(self) -> None:
        """Give the lease back; a second call does nothing."""
        with self._lock:
            held, self._held = self._held, False
        if held:
            self._pool.release(self._entry)

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class ModelPool:
    """Loads and unloads models. Thread-safe."""

    def __init__(
        self, budget_mb: int, make: Callable[[ModelSpec], Runner], memory_mb: Callable[[ModelSpec], int]
    ) -> None:
        self.budget_mb = budget_mb
        self._make, self._memory_of = make, memory_mb
        self._changed = threading.Condition()
        self._entries: dict[str, _Entry] = {}
        self._draining: list[_Entry] = []
        self._failed: dict[str, tuple[float, ModelSpec, EngineError]] = {}
        self._stopping = False
        self.loads = self.unloads = self.hits = 0

    def acquire(self, spec: ModelSpec, *, deadline_s: float, pinned: bool = False) -> Lease:
        """Return a lease on the loaded model, loading it first where needed.

        Errors: NotEnoughMemory (larger than the budget), Overloaded (no memory came free before the deadline: every
                loaded model is in use), ModelUnavailable and its kinds (it does not load).
        """
        give_up = time.monotonic() + deadline_s
        while True:
            with self._changed:
                lease = self._lease(spec)
                if lease is not None:
                    return lease
                entry, victims = self._reserve(spec, pinned=pinned)
                if entry is None and not victims:
                    left = give_up - time.monotonic()
                    if left <= 0 or not self._changed.wait(left):
                        raise Overloaded(f"no memory came free for {spec.name}: every loaded model is in use")
            for victim in victims:
                self._close(victim)
            if entry is not None:
                self._load(entry)

    def replace(self, spec: ModelSpec, *, deadline_s: float = 300.0) -> None:
        """Put a new version in the place of the loaded model of that name; does nothing when it is not loaded.

        Both are loaded for a moment when memory allows, and no request is refused. Where it does not, the old version
        is let go first and requests wait for the new one. Raises what `acquire` raises; then the old one stays.
        """
        with self._changed:
            old = self._entries.get(spec.name)
            if old is None or old.state != "ready" or old.spec == spec:
                return
        fresh = _Entry(spec, self._check_size(spec), old.pinned)
        if not self._room_beside(fresh, old):
            if self._taken_out(old):
                self._close(old)
            self.acquire(spec, deadline_s=deadline_s, pinned=old.pinned).release()
            return
        try:
            self._start(fresh)
        except EngineError:
            with self._changed:
                self._draining.remove(fresh)
                self._changed.notify_all()
            raise
        with self._changed:
            self._draining.remove(fresh)
            there = self._entries.get(spec.name)
            idle = there is old and self._retire(old)
            # Whoever loads the model at this moment loads the new version, and what is here would be a second one.
            late = self._stopping or (there is not None and there is not old)
            if not late:
                self._entries[spec.name] = fresh
            self._changed.notify_all()
        if idle:
            self._close(old)
        if late:
            self._close(fresh)
            return
        logger.info("%s was replaced by its revision %s", spec.name, spec.revision)

    def release(self, entry: _Entry) -> None:
        """Give one lease back (see Lease)."""
        with self._changed:
            entry.leases -= 1
            entry.used = time.monotonic()
            last = entry.state == "draining" and not entry.leases
            self._changed.notify_all()
        if last:
            # Not on this thread: it may be the engine's own, which the end of its process would wait for.
            threading.Thread(target=self._close, args=(entry,), name="unload", daemon=True).start()

    def loaded(self) -> dict[str, dict[str, Any]]:
        """Return {name: state, revision, memory, leases, counters} of what is loaded or loading."""
        with self._changed:
            entries = list(self._entries.values())
        return {
            entry.spec.name: {
                "role": entry.spec.role,
                "backend": entry.spec.backend,
                "revision": entry.spec.revision,
                "state": entry.state,
                "memory_mb": entry.memory_mb,
                "pinned": entry.pinned,
                "leases": entry.leases,
                "load_s": round(entry.load_s, 3),
                **(entry.runner.info() if entry.state == "ready" else {}),
            }
            for entry in entries
        }

    def runner(self, name: str) -> Any | None:
        """Return the runner of a loaded model without a lease, for looking only."""
        with self._changed:
            entry = self._entries.get(name)
            return entry.runner if entry is not None and entry.state == "ready" else None

    def stop(self) -> None:
        """Stop every model."""
        with self._changed:
            self._stopping = True
            entries = [*self._entries.values(), *self._draining]
            self._entries.clear()
            self._draining.clear()
            self._changed.notify_all()
        for entry in entries:
            if entry.runner is not None:
                entry.runner.stop()

    def _taken_out(self, entry: _Entry) -> bool:
        """Retire an entry that may have been unloaded meanwhile. True: nobody uses it, close it now."""
        with self._changed:
            if self._entries.get(entry.spec.name) is not entry:
                return False
            del self._entries[entry.spec.name]
            return self._retire(entry)

    # -- inside, under the lock --------------------------------------------------------------------------------------
    def _lease(self, spec: ModelSpec) -> Lease | None:
        """Return a lease where the model is ready. Raises ModelUnavailable where it cannot be."""
        if self._stopping:
            raise ModelUnavailable("the engine is stopping")
        entry = self._entries.get(spec.name)
        if entry is None:
            self._check_failed(spec)
            return None
        if entry.state != "ready":
            return None
        entry.leases += 1
        entry.used = time.monotonic()
        self.hits += 1
        return Lease(self, entry)

    def _check_failed(self, spec: ModelSpec) -> None:
        failed = self._failed.get(spec.name)
        if failed is not None and failed[1] == spec and time.monotonic() < failed[0]:
            raise failed[2]

    def _check_size(self, spec: ModelSpec) -> int:
        needed = self._memory_of(spec)
        if needed > self.budget_mb:
            raise NotEnoughMemory(
                f"{spec.name} needs {needed} MB, models may take {self.budget_mb} MB; "
                "raise INFERENCE_MEMORY_MB or choose a smaller model"
            )
        return needed

    def _reserve(self, spec: ModelSpec, *, pinned: bool) -> tuple[_Entry | None, list[_Entry]]:
        """Return a new entry with its memory set aside, or else what must be closed first (nothing: wait)."""
        if spec.name in self._entries:
            return None, []
        needed = self._check_size(spec)
        victims = self._victims(needed)
        if victims or self._free_mb() < needed:
            return None, victims
        entry = _Entry(spec, needed, pinned)
        self._entries[spec.name] = entry
        return entry, []

    def _free_mb(self) -> int:
        return self.budget_mb - sum(entry.memory_mb for entry in [*self._entries.values(), *self._draining])

    def _victims(self, needed: int, keep: _Entry | None = None) -> list[_Entry]:
        """Take out idle models, the least recently used first, until `needed` will fit; [] when it fits or cannot."""
        idle = [
            entry
            for entry in self._entries.values()
            if entry.state == "ready" and not entry.leases and not entry.pinned and entry is not keep
        ]
        idle.sort(key=lambda entry: entry.used)
        # What is on its way out will be free as well.
        free = self._free_mb() + sum(entry.memory_mb for entry in self._draining if not entry.leases)
        chosen: list[_Entry] = []
        while free < needed and idle:
            chosen.append(idle.pop(0))
            free += chosen[-1].memory_mb
        if free < needed:
            return []
        for entry in chosen:
            logger.info("%s is unloaded to make room", entry.spec.name)
            del self._entries[entry.spec.name]
            self._retire(entry)
        return chosen

    def _retire(self, entry: _Entry) -> bool:
        """Give an entry no new users; its memory counts until it is closed. True: nobody uses it, close it now."""
        entry.state = "draining"
        self._draining.append(entry)
        return not entry.leases

    # -- inside, without the lock ------------------------------------------------------------------------------------
    def _room_beside(self, fresh: _Entry, old: _Entry) -> bool:
        """Set memory aside for a version beside the old one; False where there is not enough for both."""
        with self._changed:
            victims = self._victims(fresh.memory_mb, keep=old)
        for victim in victims:
            self._close(victim)
        with self._changed:
            if self._free_mb() < fresh.memory_mb:
                return False
            self._draining.append(fresh)
            return True

    def _close(self, entry: _Entry) -> None:
        """Stop a retired model and count its memory as free."""
        runner, entry.runner = entry.runner, None
        runner.stop()
        del runner
        gc.collect()
        _give_memory_back()
        with self._changed:
            if entry in self._draining:
                self._draining.remove(entry)
                self.unloads += 1
            self._changed.notify_all()

    def _load(self, entry: _Entry) -> None:
        name = entry.spec.name
        try:
            self._start(entry)
        except EngineError as error:
            with self._changed:
                self._entries.pop(name, None)
                self._failed[name] = (time.monotonic() + _RETRY_FAILED_S, entry.spec, error)
                self._changed.notify_all()
            raise
        with self._changed:
            entry.state = "ready"
            self._failed.pop(name, None)
            self._changed.notify_all()

    def _start(self, entry: _Entry) -> None:
        began = time.monotonic()
        try:
            runner = self._make(entry.spec)
            runner.load()
        except EngineError:
            raise
        except Exception as error:
            # A library's own error must not leave callers waiting for a model that is never ready.
            raise ModelUnavailable(f"{entry.spec.name} did not load: {error}") from error
        entry.runner, entry.load_s = runner, time.monotonic() - began
        entry.state = "ready"
        with self._changed:
            self.loads += 1
        logger.info("%s loaded in %.1f s", entry.spec.name, entry.load_s)


def _give_memory_back() -> None:
    """Ask glibc to return freed pages, which it otherwise keeps for a process that may never need them again."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except OSError:
        logger.debug("this system's C library has no malloc_trim")
