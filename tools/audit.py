"""Ask the package index what is known against the locked versions: `make audit`.

Ends with 1 when there is an advisory, and with 0 and a line that says so when no index answers: the scan is skipped then,
not passed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.lock import ROOT, entries_of

PATIENCE_S = 20 * 60
# Known, and why they do not reach us: id -> reason. Empty is how it should be.
ACCEPTED: dict[str, str] = {}


def pins(locks: list[Path]) -> list[str]:
    """Return what is locked as `name==version`, with torch, which stands in requirements.txt alone."""
    found = {block.split()[0] for lock in locks for block in entries_of(lock.read_text()).values()}
    torch = re.search(r"^torch==\S+", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    return sorted(found | ({torch[0]} if torch else set()))


def main(names: list[str]) -> int:
    """Print advisories. Returns the exit status."""
    asked = pins([ROOT / name for name in names])
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listing:
        listing.write("\n".join(asked) + "\n")
        listing.flush()
        ignored = [part for known in ACCEPTED for part in ("--ignore-vuln", known)]
        command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "-r", listing.name]
        done = subprocess.run(
            [*command, "--format", "json", "--progress-spinner", "off", *ignored],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        print(f"skipped: no index answers questions about advisories ({reason[:200]})")
        return 0
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if len(unknown) == len(packages):
        print("skipped: the index that is used here knows no advisories of any package")
        return 0
    bad = [(package, one) for package in packages for one in package.get("vulns", [])]
    for package, one in bad:
        print(
            f"{package['name']} {package['version']}: {one['id']}, mended in {', '.join(one['fix_versions']) or 'none'}"
        )
    print(
        f"{len(packages)} packages asked for, {len(bad)} advisories; not known to the index: {', '.join(unknown) or 'none'}"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
