"""Write docs/licences.md: the licence of each package that the product installs and of each model that it knows.

`python -m tools.licences` writes the page, `--check` says whether it is right and whether each licence is one of ALLOWED.
Sources: the packages' own metadata (License-Expression, else its classifiers, else a short License field) and the
licence that the catalogue states of a model.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import metadata
from pathlib import Path

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from apps.inference.catalogue import catalogue_load

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/licences.md"
# Licence: what it asks of who passes the product on.
ALLOWED = {
    "0BSD": "nothing",
    "Apache-2.0": "its notices are kept, changes are stated",
    "Apache-2.0 WITH LLVM-exception": "as Apache-2.0; less for what is compiled in",
    "BSD-2-Clause": "its notice is kept",
    "BSD-3-Clause": "its notice is kept; its authors' names do not advertise",
    "BSL-1.0": "its notice is kept with the source",
    "CC-BY-4.0": "its author is named",
    "CC0-1.0": "nothing",
    "CNRI-Python": "its notice is kept",
    "ISC": "its notice is kept",
    "LGPL-3.0-only": "it stays a package of its own that can be replaced; changes to it are published",
    "LGPL-3.0-or-later": "as LGPL-3.0-only",
    "MIT": "its notice is kept",
    "MIT-0": "nothing",
    "MPL-2.0": "changes to its own files are published",
    "PSF-2.0": "its notice is kept, changes are stated",
    "Zlib": "changes are stated",
}
# What classifiers and free texts of older packages say, as SPDX identifiers. "BSD" without a number is read as its
# strictest form.
_SPDX = {
    "Apache 2.0 License": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
# What the lock has for other versions of Python or other platforms: not installed where the page is made.
_ELSEWHERE = {"async-timeout": "Apache-2.0"}
# What the files of a package say whose metadata leave the version of a licence open.
_IN_FILES = {"pebble": "LGPL-3.0-or-later"}
_HEAD = """# Licences

Made by `make licences` from the metadata of the installed packages and from the model catalogue; `make check` compares it
and refuses a licence that is not in the first table. A package may come under several: `AND` asks for all of them, `OR`
leaves the choice.
"""


def licence_of(package: str) -> str:
    """Return the SPDX expression of an installed package, "unknown" when it states none that we can read.

    Raises PackageNotFoundError.
    """
    found = metadata.metadata(package)
    stated = _IN_FILES.get(package) or found.get("License-Expression")
    if not stated:
        classes = [line.split(" :: ")[-1] for line in found.get_all("Classifier") or [] if line.startswith("License")]
        names = [name for name in classes if name != "OSI Approved"] or [(found.get("License") or "").strip()]
        # Two classifiers are two licences of which some part asks for each.
        stated = " AND ".join(sorted(_SPDX.get(name, name) for name in names))
    try:
        return str(canonicalize_license_expression(stated))
    except InvalidLicenseExpression:
        return "unknown"


def allowed(expression: str) -> bool:
    """Say whether what an expression asks is in ALLOWED: every part of an AND, one part of an OR."""
    if " OR " in expression:
        return any(map(allowed, re.split(r" OR ", expression.strip("()"))))
    return all(part.strip("() ") in ALLOWED for part in expression.split(" AND "))


def packages_now() -> dict[str, str]:
    """Return the licences by package of requirements.lock, and that of torch, which is locked by version alone."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    names = {found[0].lower() for line in lines if (found := re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line))} | {"torch"}
    licences = {}
    for name in sorted(names):
        try:
            licences[name] = licence_of(name)
        except metadata.PackageNotFoundError:
            licences[name] = _ELSEWHERE.get(name, "unknown")
    return licences


def models_now() -> dict[str, str]:
    """Return the licences by model of the catalogue."""
    specs = sorted(catalogue_load().models.values(), key=lambda spec: spec.name)
    return {spec.name: spec.licence for spec in specs if spec.licence}


def page(packages: dict[str, str], models: dict[str, str]) -> str:
    """Return the page's text."""
    used = sorted({name for name in ALLOWED for found in (*packages.values(), *models.values()) if name in found})
    parts = [_HEAD, "\n## What each asks\n\n| Licence | Who passes the product on |\n|---|---|\n"]
    parts += [f"| {name} | {ALLOWED[name]} |\n" for name in used]
    for title, rows in (("Packages", packages), ("Models", models)):
        parts.append(f"\n## {title}\n\n| {title[:-1]} | Licence |\n|---|---|\n")
        parts += [f"| `{name}` | {licence} |\n" for name, licence in rows.items()]
    return "".join(parts)


def main(check: bool) -> int:
    """Write or compare the page. Return 1 when it is wrong or a licence is not allowed."""
    written = PAGE.read_text() if PAGE.exists() else ""
    packages, models = packages_now(), models_now()
    refused = {name: found for name, found in {**packages, **models}.items() if not allowed(found)}
    for name, found in refused.items():
        print(f"{name}: the licence {found!r} is not allowed (tools/licences.py)", file=sys.stderr)
    text = page(packages, models)
    if not check:
        PAGE.write_text(text)
    elif text != written:
        print("docs/licences.md is not what is installed: run `make licences`.", file=sys.stderr)
    return int(bool(refused) or (check and text != written))


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nlpsuite.settings.base")
    django.setup()
    sys.exit(main("--check" in sys.argv[1:]))
