"""How much memory models need, and how much they may take."""

from __future__ import annotations

from collections.abc import Sequence

import psutil

from apps.inference.engine.errors import NotEnoughMemory
from apps.inference.engine.types import EngineConfig, ModelSpec
from apps.inference.engine.weights import weights_locate, weights_size_bytes

# What models may take of the machine when INFERENCE_MEMORY_MB does not say: the database and the web process live here too.
_MEMORY_SHARE = 0.6
# Weights in memory, with what a runtime adds to them.
_OVERHEAD = 1.5
_BASE_MB = 50


def memory_budget_mb(config: EngineConfig) -> int:
    """Return what all loaded models together may take."""
    return config.memory_mb or int(psutil.virtual_memory().total / 2**20 * _MEMORY_SHARE)


def memory_needed_mb(spec: ModelSpec) -> int:
    """Return the entry's own figure, else an estimate from the size of its weights. Raises WeightsMissing."""
    if spec.memory_mb or spec.source.startswith("remote:"):
        return spec.memory_mb
    return _BASE_MB + int(weights_size_bytes(weights_locate(spec)) / 2**20 * _OVERHEAD)


def memory_check(specs: Sequence[ModelSpec], budget_mb: int) -> None:
    """Raise NotEnoughMemory unless all of `specs` fit at the same time: models that stay loaded make no room."""
    needed = {spec.name: memory_needed_mb(spec) for spec in specs}
    if sum(needed.values()) > budget_mb:
        parts = " and ".join(f"{name} {size} MB" for name, size in needed.items())
        raise NotEnoughMemory(
            f"the default models need {sum(needed.values())} MB ({parts}), models may take {budget_mb} MB; "
            "raise INFERENCE_MEMORY_MB or choose smaller models"
        )
