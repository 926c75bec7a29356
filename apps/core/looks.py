"""Looking at parts that may hang: each look has threads of its own, and all of them together have a time limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Looks(Generic[T]):
    """Named looks that run side by side. What waits behind one that hangs is cancelled, so nothing piles up."""

    def __init__(self, name: str, looks: Mapping[str, Callable[..., T]], *, timeout_s: float) -> None:
        self._looks, self._timeout_s = dict(looks), timeout_s
        self._pools = {key: ThreadPoolExecutor(2, thread_name_prefix=f"{name}-{key}") for key in looks}

    def run(self, *args: Any) -> dict[str, T | None]:
        """Return the result of each look at `args`, None for one that did not end in time. Raises what a look raises."""
        running = {name: self._pools[name].submit(look, *args) for name, look in self._looks.items()}
        wait(running.values(), timeout=self._timeout_s)
        found: dict[str, T | None] = {}
        for name, future in running.items():
            found[name] = future.result() if future.done() else None
            future.cancel()
        return found
