"""Model serving: which models, and how much of the machine they may use."""

from __future__ import annotations

import os
from pathlib import Path

from nlpsuite.settings import env


def _choice(name: str, *allowed: str) -> str:
    """Return the variable, the first of `allowed` when unset. Raises ValueError that names it."""
    value = env.env_str(name, allowed[0])
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
    return value


# Set by the supervisor; only "worker-inference" loads models.
NLPSUITE_ROLE = env.env_str("NLPSUITE_ROLE", "command")
_catalogue = env.env_str("INFERENCE_CATALOGUE")
INFERENCE_CATALOGUE = Path(_catalogue) if _catalogue else None
INFERENCE_THREADS = env.env_int("INFERENCE_THREADS", min(os.cpu_count() or 1, 8))
# Replies and drafts of the whole installation, running or waiting; above it callers get "busy".
INFERENCE_MAX_GENERATIONS = env.env_int("INFERENCE_MAX_GENERATIONS", 32)
# Generations that one chat model computes side by side; further ones wait.
INFERENCE_CHAT_SLOTS = env.env_int("INFERENCE_CHAT_SLOTS", 48)
# What loaded models may take in all; 0: 60 % of the machine's memory.
INFERENCE_MEMORY_MB = env.env_int("INFERENCE_MEMORY_MB", 0)
# Keys of remote model servers, by the name of the variable that a catalogue entry gives.
INFERENCE_SECRET = env.env_str
INFERENCE_KV_CACHE_GB = env.env_int("INFERENCE_KV_CACHE_GB", 1)
INFERENCE_BATCHED_TOKENS = env.env_int("INFERENCE_BATCHED_TOKENS", 512)
INFERENCE_EMBED_DTYPE = _choice("INFERENCE_EMBED_DTYPE", "auto", "float32", "bfloat16")
# Calls from other processes that may wait for the inference worker, by class.
INFERENCE_QUEUE_BOUNDS = {"live": 256, "api": 96, "batch": 32}
# A thread for each call that is admitted: whose turn it is, is decided by the engine's queue between organisations, and not
# by which call came to the broker first. A thread that waits costs some 50 KB.
INFERENCE_WORKER_THREADS = sum(INFERENCE_QUEUE_BOUNDS.values()) + INFERENCE_MAX_GENERATIONS
