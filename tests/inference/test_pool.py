"""Several models under one memory budget: load on use, unload the oldest, replace without a refusal."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from apps.inference.engine.errors import ModelUnavailable, NotEnoughMemory, Overloaded
from apps.inference.engine.pool import ModelPool
from apps.inference.engine.types import ModelSpec


class Runner:
    def __init__(self, world: World, spec: ModelSpec) -> None:
        self.world, self.spec = world, spec

    def load(self) -> None:
        self.world.before_load(self.spec)
        with self.world.lock:
            self.world.loaded.append(self.spec)
            self.world.most = max(self.world.most, sum(spec.memory_mb for spec in self.world.loaded))

    def stop(self) -> None:
        with self.world.lock:
            self.world.loaded.remove(self.spec)

    def info(self) -> dict[str, Any]:
        return {}


class World:
    """What is loaded, and the most memory that ever was."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.loaded: list[ModelSpec] = []
        self.most = 0
        self.before_load: Callable[[ModelSpec], None] = lambda _: None

    def pool(self, budget_mb: int) -> ModelPool:
        return ModelPool(budget_mb, lambda spec: Runner(self, spec), lambda spec: spec.memory_mb)


def spec_of(name: str, memory_mb: int = 100, revision: str = "1") -> ModelSpec:
    return ModelSpec(name, "classifier", "x", "path:x", revision, {}, "MIT", 10, memory_mb=memory_mb)


# Unloading collects garbage, which takes long in a process that ran many tests before on a loaded machine.
@pytest.mark.timeout(700)
def test_24_models_work_with_memory_for_three() -> None:
    world = World()
    pool = world.pool(300)
    specs = [spec_of(f"m{number}") for number in range(24)]
    served: list[str] = []

    def caller(shift: int) -> None:
        for number in range(48):
            spec = specs[(number * 7 + shift) % 24]
            with pool.acquire(spec, deadline_s=300) as lease:
                assert lease.runner.spec == spec
                served.append(spec.name)

    callers = [threading.Thread(target=caller, args=(shift,)) for shift in range(3)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(600)
    assert len(served) == 3 * 48
    assert set(served) == {spec.name for spec in specs}
    assert world.most <= 300
    assert pool.loads - pool.unloads == len(world.loaded) <= 3


def test_the_least_recently_used_goes_first() -> None:
    world = World()
    pool = world.pool(200)
    for name in ("a", "b", "a", "c"):
        pool.acquire(spec_of(name), deadline_s=1).release()
    assert {spec.name for spec in world.loaded} == {"a", "c"}


def test_a_model_in_use_or_pinned_is_never_unloaded() -> None:
    world = World()
    pool = world.pool(200)
    pool.acquire(spec_of("pinned"), deadline_s=1, pinned=True).release()
    lease = pool.acquire(spec_of("used"), deadline_s=1)
    with pytest.raises(Overloaded):
        pool.acquire(spec_of("third"), deadline_s=0.1)
    lease.release()
    pool.acquire(spec_of("third"), deadline_s=1).release()
    assert {spec.name for spec in world.loaded} == {"pinned", "third"}


def test_whoever_waits_for_memory_gets_it_when_a_lease_ends() -> None:
    world = World()
    pool = world.pool(100)
    lease = pool.acquire(spec_of("a"), deadline_s=1)
    threading.Timer(0.1, lease.release).start()
    with pool.acquire(spec_of("b"), deadline_s=5) as other:
        assert other.runner.spec.name == "b"


def test_a_model_larger_than_the_budget_says_so() -> None:
    with pytest.raises(NotEnoughMemory, match="INFERENCE_MEMORY_MB"):
        World().pool(100).acquire(spec_of("large", 101), deadline_s=1)


def test_a_model_is_loaded_once_for_callers_that_come_together() -> None:
    world = World()
    loads: list[str] = []
    world.before_load = lambda spec: (loads.append(spec.name), time.sleep(0.1))[0]
    pool = world.pool(100)
    callers = [threading.Thread(target=lambda: pool.acquire(spec_of("a"), deadline_s=5).release()) for _ in range(8)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    assert loads == ["a"]


def test_a_model_that_does_not_load_fails_fast_and_holds_no_memory() -> None:
    world = World()

    def broken(spec: ModelSpec) -> None:
        if spec.name == "broken":
            raise ValueError("no such layer")

    world.before_load = broken
    pool = world.pool(100)
    with pytest.raises(ModelUnavailable, match="no such layer"):
        pool.acquire(spec_of("broken"), deadline_s=1)
    began = time.monotonic()
    with pytest.raises(ModelUnavailable):
        pool.acquire(spec_of("broken"), deadline_s=1)
    assert time.monotonic() - began < 0.5
    pool.acquire(spec_of("fine"), deadline_s=1).release()


@pytest.mark.parametrize(("budget", "most"), [(200, 200), (100, 100)], ids=["beside", "instead"])
def test_a_new_version_takes_over_while_the_old_one_finishes(budget: int, most: int) -> None:
    world = World()
    pool = world.pool(budget)
    old = pool.acquire(spec_of("m"), deadline_s=1)
    new_spec = dataclasses.replace(spec_of("m"), revision="2")
    errors: list[Exception] = []
    seen: set[str] = set()
    stop = threading.Event()

    def caller() -> None:
        while not stop.is_set():
            try:
                with pool.acquire(new_spec, deadline_s=10) as lease:
                    seen.add(lease.runner.spec.revision)
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=caller) for _ in range(4)]
    for thread in threads:
        thread.start()
    threading.Timer(0.2, old.release).start()
    pool.replace(new_spec)
    assert old.runner is None or old.runner.spec.revision == "1"
    time.sleep(0.3)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert errors == []
    assert "2" in seen
    assert [spec.revision for spec in world.loaded] == ["2"]
    assert world.most <= most


def test_a_new_version_that_does_not_load_leaves_the_old_one() -> None:
    world = World()
    pool = world.pool(300)
    pool.acquire(spec_of("m"), deadline_s=1).release()

    def broken(spec: ModelSpec) -> None:
        raise ValueError("bad weights")

    world.before_load = broken
    with pytest.raises(ModelUnavailable):
        pool.replace(dataclasses.replace(spec_of("m"), revision="2"))
    with pool.acquire(spec_of("m"), deadline_s=1) as lease:
        assert lease.runner.spec.revision == "1"


def test_stop_ends_every_model() -> None:
    world = World()
    pool = world.pool(300)
    for name in ("a", "b"):
        pool.acquire(spec_of(name), deadline_s=1).release()
    pool.stop()
    assert world.loaded == []
    with pytest.raises(ModelUnavailable):
        pool.acquire(spec_of("c"), deadline_s=1)


def test_a_model_that_is_unloaded_while_its_new_version_has_no_room_is_replaced_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    pool = world.pool(100)
    pool.acquire(spec_of("a"), deadline_s=5).release()
    real = pool._room_beside

    def meanwhile(*arguments: Any) -> bool:
        found = real(*arguments)
        # Between two holds of the lock somebody else takes the memory, and the old version is gone.
        pool.acquire(spec_of("b"), deadline_s=5).release()
        return found

    monkeypatch.setattr(pool, "_room_beside", meanwhile)
    pool.replace(spec_of("a", revision="2"), deadline_s=5)
    assert [spec.revision for spec in world.loaded if spec.name == "a"] == ["2"]
    assert pool.loaded()["a"]["revision"] == "2"


def test_a_model_that_is_unloaded_while_its_new_version_loads_is_closed_once() -> None:
    world = World()
    pool = world.pool(300)
    pool.acquire(spec_of("a"), deadline_s=5).release()

    def meanwhile(spec: ModelSpec) -> None:
        if spec.revision == "2":
            # As an acquire of another model does that needs the room.
            old = pool._entries["a"]
            assert pool._taken_out(old)
            pool._close(old)

    world.before_load = meanwhile
    pool.replace(spec_of("a", revision="2"), deadline_s=5)
    assert [spec.revision for spec in world.loaded if spec.name == "a"] == ["2"]
    pool.acquire(spec_of("c"), deadline_s=5).release()
    assert sum(spec.memory_mb for spec in world.loaded) <= 300
