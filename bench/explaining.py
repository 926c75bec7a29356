"""The first explanation in a fresh process: ours beside SHAP's partition explainer, with a model that costs nothing.

python -m bench.explaining
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil

TEXT = "The staff was friendly and the room was clean, but the food tasted disgusting and nobody came to help us."
EVALUATIONS = 256


def score(texts: list[str]) -> Any:
    return np.array([0.5 * ("disgusting" in text) + 0.01 * len(text.split()) for text in texts])


def ours() -> Callable[[], Any]:
    from apps.inference.engine.explaining import attribution_of

    return lambda: attribution_of(score, TEXT, max_evaluations=EVALUATIONS)


def shap() -> Callable[[], Any]:
    from scipy.cluster.hierarchy import linkage
    from shap.explainers import Partition

    words = TEXT.split()

    def masked(mask: Any, row: Any) -> Any:
        return (row * mask).reshape(1, -1)

    masked.shape = (1, len(words))  # type: ignore[attr-defined]
    masked.clustering = linkage(np.arange(len(words), dtype=float).reshape(-1, 1), "complete")  # type: ignore[attr-defined]
    explainer = Partition(lambda rows: score([" ".join(np.array(words)[row > 0]) for row in rows]), masked)
    return lambda: explainer(np.ones((1, len(words))), max_evals=EVALUATIONS, batch_size=64, silent=True)


def measure(make: Callable[[], Callable[[], Any]]) -> None:
    """Print the seconds of the first explanation, with imports, and of the second, and the megabytes that they added."""
    process = psutil.Process()
    before, begun = process.memory_info().rss, time.perf_counter()
    explain = make()
    explain()
    first, again = time.perf_counter() - begun, time.perf_counter()
    explain()
    later, added = time.perf_counter() - again, (process.memory_info().rss - before) / 1e6
    print(f"{make.__name__:5} first {first:6.2f} s   later {1000 * later:5.1f} ms   +{added:.0f} MB", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure({"ours": ours, "shap": shap}[sys.argv[1]])
    else:
        for name in ("ours", "shap"):
            subprocess.run([sys.executable, "-m", "bench.explaining", name], check=True)
