"""Measures the machine itself: memory and matrix products, on as many threads as the engine uses by default."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from bench.peers.protocol import Actions, serve

GIGABYTE = 2**28  # float32 numbers
SIDE = 2048
TRIES = 5


def _best_s(work: Callable[[], Any]) -> float:
    work()
    spent = []
    for _ in range(TRIES):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return min(spent)


def _memory(torch: Any) -> dict[str, float]:
    source = torch.ones(GIGABYTE, dtype=torch.float32)
    target = torch.empty_like(source)
    size = source.numel() * 4 / 1e9
    return {
        "read_gb_s": size / _best_s(source.sum),
        "copy_gb_s": 2 * size / _best_s(lambda: target.copy_(source)),
    }


def _int8(torch: Any) -> Callable[[], Any]:
    """Return a product of 8-bit integers as quantised linear layers make it (oneDNN)."""
    left = torch.randint(0, 127, (SIDE, SIDE), dtype=torch.uint8)
    right = torch.randint(-127, 127, (SIDE, SIDE), dtype=torch.int8)
    packed = torch.ops.onednn.qlinear_prepack(right, [SIDE, SIDE])
    scales, zeros = torch.ones(SIDE), torch.zeros(SIDE, dtype=torch.int64)
    return lambda: torch.ops.onednn.qlinear_pointwise(
        left, 1.0, 0, packed, scales, zeros, None, 1.0, 0, torch.float32, "none", [], ""
    )


def load(_options: dict[str, Any]) -> tuple[dict[str, Any], Actions]:
    import torch

    torch.set_num_threads(min(os.cpu_count() or 1, 8))

    def measure() -> dict[str, Any]:
        work: dict[str, Callable[[], Any]] = {"int8": _int8(torch)}
        for name in ("float32", "bfloat16"):
            left, right = (torch.randn(SIDE, SIDE).to(getattr(torch, name)) for _ in range(2))
            work[name] = lambda left=left, right=right: left @ right
        gops = {name: 2 * SIDE**3 / _best_s(product) / 1e9 for name, product in work.items()}
        return {"gops": gops, **_memory(torch)}

    return {}, {"measure": measure}


if __name__ == "__main__":
    serve(load)
