"""Several batches side by side on one thread each, instead of several threads inside each small product.

Threads inside a product wait for each other at its end, a hundred times a batch. With the rest of the product on the
same two cores that halved the speed: 154 texts/s, and 289 with the batch in two parts on a thread each (classifier of
MiniLM's size, 22 tokens a text); processor time per text fell by a seventh.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar

from apps.inference.engine.base import GiveWay, stay

# A part is so small that padding and waiting for the last one cost little, and so large that calling torch does too.
_PART_TOKENS = 512

P = TypeVar("P")
R = TypeVar("R")


class TorchThreads:
    """`count` threads whose torch computes on one thread, and one more of that kind for what is short."""

    def __init__(self, torch: Any, count: int, name: str) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name) if count > 1 else None
        self._short = ThreadPoolExecutor(1, thread_name_prefix=f"{name}-short")
        ready = Barrier(count + 1 if self._pool else 1)

        def one_each() -> None:
            torch.set_num_threads(1)
            # A thread takes its number over with its first operation.
            torch.ones(2).add_(1)
            ready.wait(30)

        pools = [*[self._pool] * count, self._short] if self._pool else [self._short]
        for future in [pool.submit(one_each) for pool in pools]:
            future.result()
        # What a thread sets is also what threads to come begin with.
        torch.set_num_threads(count)

    def map(self, function: Callable[[P], R], parts: Sequence[P]) -> list[R]:
        """Return the results in order; the first error is raised when all have ended."""
        if self._pool is None:
            return [function(part) for part in parts]
        futures = [self._pool.submit(function, part) for part in parts]
        return [future.result() for future in futures]

    def split(
        self,
        function: Callable[[list[P]], Sequence[R]],
        rows: Sequence[P],
        width: Callable[[P], int],
        give_way: GiveWay = stay,
    ) -> list[R]:
        """Return `function`'s result for each row, computed in parts; `width` is a row's length in tokens."""
        if self._pool is None:
            give_way()
            return list(function(list(rows)))
        parts = _parts([width(row) for row in rows], self.count)
        found: list[Any] = [None] * len(rows)

        def compute(part: list[int]) -> Sequence[R]:
            give_way()
            return function([rows[i] for i in part])

        for part, results in zip(parts, self.map(compute, parts), strict=True):
            for index, result in zip(part, results, strict=True):
                found[index] = result
        return found

    def alone(self, function: Callable[[P], R], rows: P) -> R:
        """Return `function`'s result, computed on one thread beside what the others compute."""
        return self._short.submit(function, rows).result()

    def stop(self) -> None:
        """End the threads, after what they compute."""
        for pool in (self._pool, self._short):
            if pool is not None:
                pool.shutdown(wait=True)


def _parts(widths: Sequence[int], count: int) -> list[list[int]]:
    """Return the rows in parts of like width and like work, the widest first; as many for each of `count` threads."""
    order = sorted(range(len(widths)), key=lambda index: -widths[index])
    tokens = sum(widths)
    rounds = max(1, round(tokens / (count * _PART_TOKENS)))
    limit = -(-tokens // (rounds * count))
    while len(parts := _cut(order, widths, limit)) > rounds * count:
        # What padding adds was not counted.
        limit += 1 + limit // 16
    return parts


def _cut(order: Sequence[int], widths: Sequence[int], limit: int) -> list[list[int]]:
    """Cut the rows into parts of at most `limit` tokens with padding, or of one row."""
    parts: list[list[int]] = []
    for index in order:
        # The first of a part is its widest, and the others are padded to it.
        if not parts or (len(parts[-1]) + 1) * widths[parts[-1][0]] > limit:
            parts.append([])
        parts[-1].append(index)
    return parts
