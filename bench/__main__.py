"""Run the benchmarks beside their peers: `python -m bench [--suite NAME]`. Writes bench/results/latest.json."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

SUITES = ("generate", "stream", "ingest")
RESULTS = Path(__file__).parent / "results" / "latest.json"


def run_suite(name: str) -> dict[str, Any]:
    """Run one suite in a process of its own, so that no suite inherits another's models or settings."""
    code = f"import json, sys; from bench import {name}; json.dump({name}.run(), sys.stdout)"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"suite {name} failed with status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def table(results: dict[str, dict[str, Any]]) -> str:
    """Return the results as a table: ours, each peer, and the ratio to the best peer (above 1: we are better)."""
    lines = [f"{'case':<52} {'ours':>10} {'ratio':>7}  peers"]
    for suite, cases in results.items():
        for name, case in cases.items():
            peers = case["peers"]
            ratio = ""
            if peers and case["ours"]:
                best = max(peers.values()) if case["higher_is_better"] else min(peers.values())
                value = case["ours"] / best if case["higher_is_better"] else best / case["ours"]
                ratio = f"{value:.2f}"
            shown = ", ".join(f"{peer} {value:g}" for peer, value in peers.items())
            lines.append(f"{suite + ': ' + name:<52} {case['ours']:>10g} {ratio:>7}  {shown} {case['unit']}")
    return "\n".join(lines)


def main() -> None:
    """Run all suites or one, keep the others' last results, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", choices=SUITES)
    wanted = parser.parse_args().suite
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    fresh = {}
    for number, name in enumerate([wanted] if wanted else SUITES, 1):
        print(f"[{number}/{1 if wanted else len(SUITES)}] {name}", file=sys.stderr, flush=True)
        fresh[name] = run_suite(name)
    print(f"{platform.machine()}, {platform.platform()}")
    print(table(fresh))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(kept | fresh, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
