"""Write docs/map.md from the imports: `python -m tools.map`; `--check` says whether the page is right.

Layers come from the contract in pyproject.toml, the line about an app from ARCHITECTURE.md, the rest from the code.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/map.md"
_HEAD = """# Map

Made by `make map` from the imports; `make check` compares it. What may import what is in
[ARCHITECTURE.md](../ARCHITECTURE.md#layers). Lines are those of Python without migrations, to the nearest hundred. "Guarded
by" are the folders of tests that import the app: its own, then those with most files.

| App | Layer | What it is | Lines | Imports | Imported by | Guarded by |
|---|---|---|---|---|---|---|
"""


def layers() -> list[list[str]]:
    """Return the apps by layer, the uppermost first, as import-linter enforces them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (found,) = [contract for contract in contracts if contract["type"] == "layers"]
    return [re.split(r"\s*[|:]\s*", layer) for layer in found["layers"]]


def described() -> dict[str, tuple[str, str]]:
    """Return the layer's name and the line about each app of ARCHITECTURE.md's table."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    return {app: (layer, line) for layer, app, line in re.findall(r"^\| (\d \w+) \| `(\w+)` \| (.+) \|$", text, re.M)}


def lines_of(app: str) -> int:
    """Return the lines of an app's Python without migrations, to the nearest hundred."""
    paths = [path for path in (ROOT / "apps" / app).rglob("*.py") if "migrations" not in path.parts]
    return round(sum(path.read_text().count("\n") for path in paths), -2)


def app_imports(apps: list[str]) -> dict[str, set[str]]:
    """Return the apps that each app imports directly."""
    graph = grimp.build_graph("apps", cache_dir=None)
    found: dict[str, set[str]] = {app: set() for app in apps}
    for module in graph.modules:
        importer = module.split(".")[1:2]
        for imported in graph.find_modules_directly_imported_by(module):
            other = imported.split(".")[1:2]
            if importer and other and importer != other:
                found[importer[0]].add(other[0])
    return found


def guards(app: str) -> list[str]:
    """Return the folders of tests with files that import an app, the one with most files first."""
    named = re.compile(rf"\bapps\.{app}\b")
    counts: dict[str, int] = {}
    for path in (ROOT / "tests").glob("*/**/test_*.py"):
        if named.search(path.read_text()):
            folder = path.relative_to(ROOT / "tests").parts[0]
            counts[folder] = counts.get(folder, 0) + 1
    return sorted(counts, key=lambda folder: (folder != app, -counts[folder], folder))[:4]


def page() -> str:
    """Return the page's text."""
    order = [app for layer in layers() for app in layer]
    about, imports = described(), app_imports(order)
    rows = []
    for app in order:
        layer, line = about[app]
        above = [other for other in order if app in imports[other]]
        below = [other for other in order if other in imports[app]]
        tests = [f"[{folder}](../tests/{folder})" for folder in guards(app)]
        cells = [
            f"[`{app}`](../apps/{app})",
            layer,
            line,
            f"{lines_of(app):,}",
            ", ".join(below) or "nothing",
            ", ".join(above) or "nlpsuite alone",
            ", ".join(tests) or "none",
        ]
        rows.append(f"| {' | '.join(cells)} |\n")
    return _HEAD + "".join(rows)


def main(check: bool) -> int:
    """Write or compare the page. Return 1 when it is wrong."""
    text = page()
    if not check:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        print("docs/map.md is not what the code is: run `make map`.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
