"""Write the lock files: `make lock`. Versions stay as they are locked; `make lock ARGS=--upgrade` takes the newest that fit.

Each line has the hashes of every file of the release, whatever the platform, as the package index states them. torch and
what its builds bring are left out: they differ from index to index, and are installed by version alone. No address of an
index gets into a lock.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.11"
# Lock, its requirements, and those whose own dependencies are not wanted (requirements-models.txt says why).
LOCKS = (
    ("requirements.lock", "requirements.txt", "requirements-models.txt"),
    ("requirements-dev.lock", "requirements-dev.txt", ""),
    ("requirements-bench.lock", "requirements-bench.txt", ""),
    ("requirements-tools.lock", "requirements-tools.txt", ""),
)
BY_VERSION_ALONE = re.compile(r"(?:torch|triton|(?:nvidia|cuda)-.*)")
HEAD = "# Written by `make lock`: what {source} installs{beyond}, with the hashes of all files of each release.\n"
_NAME = re.compile(r"[A-Za-z0-9._-]+")

Entries = dict[str, str]


def entries_of(text: str) -> Entries:
    """Return the entries of a lock by canonical name: the pin and the lines of its hashes."""
    found: Entries = {}
    for block in re.split(
        r"^(?=[A-Za-z0-9])", re.sub(r"^(?:#|--).*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE
    ):
        name = _NAME.match(block)
        if name is not None:
            found[re.sub(r"[._-]+", "-", name[0]).lower()] = block.rstrip() + "\n"
    return found


def compile_(sources: list[Path], known: list[Path], extra: list[str]) -> Entries:
    """Ask uv for versions and hashes of `sources`, with the versions of `known` where they fit."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.lock"
        out.write_text("".join(path.read_text() for path in known if path.exists()))
        options = ["--generate-hashes", "--no-annotate", "--no-header", "--quiet", *extra]
        command = [sys.executable, "-m", "uv", "pip", "compile", "--universal", "--python-version", PYTHON, *options]
        subprocess.run([*command, "-o", str(out), *map(str, sources)], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        return _plain(entries_of(out.read_text()))


def _plain(entries: Entries) -> Entries:
    """Leave out the condition that nearly every line has: that of the platforms which pyproject.toml names."""
    conditions = Counter(
        found[1] for block in entries.values() if (found := re.search(r" ; (.*?)(?: \\)?$", block, re.M))
    )
    common = conditions.most_common(1)[0][0] if conditions else None
    return {name: block.replace(f" ; {common}", "", 1) for name, block in entries.items()}


def main(upgrade: bool) -> None:
    """Write all lock files."""
    known = [] if upgrade else [ROOT / lock for lock, _, _ in LOCKS]
    product = ROOT / "requirements.txt"
    taken: Entries = {}
    for lock, source, bare in LOCKS:
        alone = lock == "requirements-tools.lock"
        sources = [ROOT / source] if alone or ROOT / source == product else [product, ROOT / source]
        found = compile_(sources, known, [])
        if bare:
            found |= compile_([ROOT / bare], known, ["--no-deps"])
        written = {
            name: block
            for name, block in found.items()
            if (alone or name not in taken) and not BY_VERSION_ALONE.fullmatch(name)
        }
        beyond = "" if alone or not taken else " beyond requirements.lock"
        (ROOT / lock).write_text(
            HEAD.format(source=source, beyond=beyond) + "".join(written[n] for n in sorted(written))
        )
        if not taken:
            taken = found


if __name__ == "__main__":
    main("--upgrade" in sys.argv[1:])
