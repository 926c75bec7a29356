"""Run the benchmarks beside their peers: `python -m bench [--suite NAME] [--quick]`. Writes bench/results/latest.json.

Each suite runs in a process of its own, each peer in another; progress is on stderr, the table on stdout. A suite that
fails leaves its last results where they are and is named at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from typing import Any

from bench.measure import ROUNDS
from bench.paths import RESULTS, ROOT
from bench.progress import say
from bench.results import table

SUITES = ("generate", "embed", "classify", "translate", "stream", "ingest", "nlp")
QUICK = "quick.json"


def run_suite(name: str, rounds: int) -> dict[str, Any] | None:
    """Return the cases of one suite, or None when it failed (why is on stderr)."""
    command = [sys.executable, "-m", "bench.suite", name, str(rounds)]
    # Its stdin stays open for as long as this process lives: see bench.suite.
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as suite:
        assert suite.stdout is not None
        try:
            lines = suite.stdout.read().splitlines()
        except BaseException:
            suite.terminate()
            raise
    if suite.returncode:
        say(f"suite {name} ended with status {suite.returncode}")
        return None
    cases: dict[str, Any] = json.loads(lines[-1])
    return cases


def main() -> int:
    """Run all suites or one, keep the others' last results, print the table; 1 when a suite failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", choices=SUITES)
    parser.add_argument("--quick", action="store_true", help="one repetition, kept apart from the results")
    options = parser.parse_args()
    # One repetition is no result: it does not replace one.
    target, rounds = (RESULTS.with_name(QUICK), 1) if options.quick else (RESULTS, ROUNDS)
    target.parent.mkdir(exist_ok=True)
    wanted = [options.suite] if options.suite else list(SUITES)
    fresh: dict[str, dict[str, Any]] = {}
    for number, name in enumerate(wanted, 1):
        say(f"[{number}/{len(wanted)}] {name}")
        cases = run_suite(name, rounds)
        if cases is None:
            continue
        fresh[name] = cases
        kept = json.loads(target.read_text()) if target.exists() else {}
        partial = target.with_suffix(".tmp")
        partial.write_text(json.dumps(kept | {name: cases}, indent=1, sort_keys=True) + "\n")
        os.replace(partial, target)
    print(f"{platform.machine()}, {os.cpu_count()} cores, {platform.platform()}, median of {rounds}")
    print(table(fresh))
    failed = [name for name in wanted if name not in fresh]
    if failed:
        say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
