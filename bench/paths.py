"""Where the benchmarks keep what they make, and the interpreters they use."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results" / "latest.json"
# Converted models and logs; `rm -r .data/bench` makes everything anew.
CACHE = ROOT / ".data" / "bench"
LOGS = CACHE / "logs"
PRODUCT_PYTHON = ROOT / ".venv" / "bin" / "python"
PEER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
