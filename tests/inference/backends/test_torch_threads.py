"""Batches in parts: every row once and in its place, little padding, as much for one thread as for the other."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import torch

from apps.inference.engine.backends.torch_threads import TorchThreads


@pytest.fixture(scope="module")
def threads() -> Iterator[TorchThreads]:
    made = TorchThreads(torch, 2, "test")
    yield made
    made.stop()


def parts_of(threads: TorchThreads, widths: list[int]) -> list[list[int]]:
    """Return the widths of the rows of each part."""
    parts: list[list[int]] = []

    def keep(part: list[int]) -> list[int]:
        parts.append(part)
        return part

    assert threads.split(keep, widths, lambda width: width) == widths
    return parts


def padded(part: list[int]) -> int:
    return len(part) * max(part)


@pytest.mark.parametrize("widths", [[], [7], [0, 0], [3, 500], [30] * 64, list(range(200))], ids=len)
def test_results_are_in_the_order_of_the_rows(threads: TorchThreads, widths: list[int]) -> None:
    assert sorted(width for part in parts_of(threads, widths) for width in part) == sorted(widths)


def test_rows_of_like_width_are_together(threads: TorchThreads) -> None:
    widths = random.Random(1).choices(range(5, 150), k=256)
    parts = parts_of(threads, widths)
    assert sum(map(padded, parts)) <= 1.2 * sum(widths)


@pytest.mark.parametrize("count", [2, 16, 64, 256])
def test_each_thread_has_as_much_to_do(threads: TorchThreads, count: int) -> None:
    widths = random.Random(count).choices(range(20, 40), k=count)
    parts = parts_of(threads, widths)
    assert len(parts) % 2 == 0
    assert max(map(padded, parts)) <= 2 * sum(widths) / len(parts)


def test_without_threads_a_batch_stays_whole() -> None:
    alone = TorchThreads(torch, 1, "test")
    assert parts_of(alone, [1, 2, 300]) == [[1, 2, 300]]
