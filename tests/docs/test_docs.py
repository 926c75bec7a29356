"""Documents that fail the build when they rot: links, commands, variables, routes, dependencies, layers, promises."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class

ROOT = Path(settings.BASE_DIR)
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
GUIDE = sorted((ROOT / "docs" / "guide").glob("*.md"))
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
OPERATE = (ROOT / "docs" / "guide" / "operate.md").read_text()
SECURITY = (ROOT / "SECURITY.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()

FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
# Upper-case words in code that are no variables of the environment.
NO_VARIABLES = {"YOUR_WIDGET_TOKEN", "INSTALLED_APPS"}
MAX_IMAGE_BYTES = 300_000
# Properties of the reliability list, by letter.
PROMISES = {"A": 6, "B": 8, "C": 10, "D": 4, "E": 10, "F": 6, "G": 9, "H": 8, "I": 10, "J": 5, "K": 11}


def _name(value: Any) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)


def _all(paths: Iterable[Path]) -> str:
    return "\n".join(path.read_text() for path in paths)


def _code(text: str) -> list[str]:
    """What stands in backticks, and the fenced blocks."""
    return [*CODE.findall(FENCE.sub("", text)), *FENCE.findall(text)]


def _prose(text: str) -> str:
    """The text without code, in which brackets are no links."""
    return CODE.sub("", FENCE.sub("", text))


def _section(text: str, heading: str) -> str:
    return text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def _slugs(path: Path) -> list[str]:
    headings = re.findall(r"^#{1,6} +(.+)$", FENCE.sub("", path.read_text()), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings]


# -- links and pictures ----------------------------------------------------------------------------------------------
def _links(path: Path) -> list[str]:
    found = LINK.findall(_prose(path.read_text()))
    return [target for target in found if not target.startswith(("http://", "https://", "mailto:"))]


def _leads_nowhere(path: Path, target: str) -> bool:
    name, _, fragment = target.partition("#")
    file = (path.parent / name).resolve() if name else path
    if not file.is_relative_to(ROOT) or not file.exists():
        return True
    return bool(fragment) and file.suffix == ".md" and fragment not in _slugs(file)


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_every_relative_link_and_picture_leads_somewhere(path: Path) -> None:
    assert [target for target in _links(path) if _leads_nowhere(path, target)] == []


def test_pictures_are_small() -> None:
    sizes = {p.name: p.stat().st_size for p in (ROOT / "docs" / "img").iterdir()}
    assert {name: size for name, size in sizes.items() if size > MAX_IMAGE_BYTES} == {}


def test_the_readme_shows_a_picture_of_the_product() -> None:
    assert [t for t in _links(ROOT / "README.md") if t.startswith("docs/img/")] != []


# -- commands --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_every_management_command_exists(path: Path) -> None:
    named = set(re.findall(r"manage\.py ([a-z_]+)", path.read_text()))
    assert named - set(get_commands()) == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_every_action_of_the_models_command_exists(path: Path) -> None:
    parser = load_command_class("apps.inference", "models").create_parser("manage.py", "models")
    choices = next(a.choices for a in parser._actions if a.dest == "action")
    assert set(re.findall(r"manage\.py models ([a-z]+)", path.read_text())) - set(choices or ()) == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_every_make_target_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    code = "\n".join(_code(path.read_text()))
    assert set(re.findall(r"(?:^|=\d+ )make ([a-z-]+)", code, re.MULTILINE)) - targets == set()


# -- environment -----------------------------------------------------------------------------------------------------
def _read_by_settings() -> set[str]:
    """Names given to env.py's readers, and in the settings to any function that passes one on to them."""
    read = set(re.findall(r'env_[a-z]+\(\s*"([A-Z_]+)"', _all((ROOT / "nlpsuite").rglob("*.py"))))
    return read | set(re.findall(r'\b_?[a-z_]+\("([A-Z_]+)"', _all((ROOT / "nlpsuite" / "settings").rglob("*.py"))))


def _read_elsewhere() -> set[str]:
    """Commands, the engine, the Makefile and the Compose file have variables of their own."""
    sources = _all([*(ROOT / "nlpsuite").rglob("*.py"), *(ROOT / "apps").rglob("*.py")])
    found = re.findall(r'os\.environ[.a-z]*[(\[]"([A-Z_]+)"', sources)
    found += re.findall(r"\$\((?:if \$\()?([A-Z]+)[),]", MAKEFILE)
    found += re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker" / "compose.yaml").read_text())
    return set(found)


def _variables_named(text: str) -> set[str]:
    code = _code(text)
    whole = {part for part in code if re.fullmatch(r"[A-Z]+(?:_[A-Z]+)+", part)}
    assigned = {name for part in code for name in re.findall(r"(?:^|\s)([A-Z][A-Z_]{2,})=", part)}
    return (whole | assigned) - NO_VARIABLES


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_every_variable_that_is_named_is_read(path: Path) -> None:
    assert _variables_named(path.read_text()) - _read_by_settings() - _read_elsewhere() == set()


def _variable_rows() -> dict[str, str]:
    return dict(re.findall(r"^\| `([A-Z_]+)` \| ([^|]+) \|", OPERATE, re.MULTILINE))


def test_every_variable_that_is_read_is_documented() -> None:
    assert _read_by_settings() - set(_variable_rows()) == set()


def test_every_documented_variable_is_read() -> None:
    assert set(_variable_rows()) - _read_by_settings() - _read_elsewhere() == set()


NUMBERS = {
    name: int(default.strip().strip("`"))
    for name, default in _variable_rows().items()
    if default.strip().strip("`").isdigit() and name.startswith(("KNOWLEDGE_", "INFERENCE_", "EMAIL_"))
}


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_a_documented_default_is_the_default(name: str) -> None:
    assert getattr(settings, name) == NUMBERS[name]


# -- routes ----------------------------------------------------------------------------------------------------------
PATHS = json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"]
OTHER_PATHS = {"/api/v1", "/api/v1/docs", "/api/v1/openapi.json"}
ROUTE = re.compile(r"(?:\b(GET|POST|PATCH|PUT|DELETE) )?(/api/v1[\w/{}.-]*)")


def _wrong_route(method: str, path: str) -> bool:
    path = path.rstrip("./")
    return path not in OTHER_PATHS and (path not in PATHS or (bool(method) and method.lower() not in PATHS[path]))


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_every_route_exists(path: Path) -> None:
    assert [found for found in ROUTE.findall(path.read_text()) if _wrong_route(*found)] == []


# -- architecture ----------------------------------------------------------------------------------------------------
def _pinned() -> set[str]:
    texts = _all(ROOT.glob("requirements*.txt"))
    return set(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==", texts, re.MULTILINE))


def _first_column(section: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def test_every_pinned_dependency_says_why() -> None:
    assert set(_first_column(_section(ARCHITECTURE, "Dependencies, and why each"))) == _pinned()


def _layer_table() -> list[str]:
    return re.findall(r"^\| \d [a-z]+ \| `([a-z_]+)` \|", _section(ARCHITECTURE, "Layers"), re.MULTILINE)


def test_every_app_is_in_the_table_of_layers() -> None:
    assert sorted(_layer_table()) == sorted(p.parent.name for p in (ROOT / "apps").glob("*/__init__.py"))


def test_the_table_of_layers_is_in_the_order_that_is_enforced() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert _layer_table() == [name.strip() for layer in layers for name in layer.split("|")]


def test_every_process_of_the_supervisor_is_in_the_table() -> None:
    supervisor = (ROOT / "nlpsuite" / "supervisor" / "up.py").read_text()
    started = set(re.findall(r'_worker\("([a-z-]+)"|_manage_child\("([a-z-]+)"|role="([a-z-]+)"', supervisor))
    names = {name for group in started for name in group if name}
    assert names - set(re.findall(r"`([a-z-]+)`", _section(ARCHITECTURE, "Processes"))) == set()


# -- promises --------------------------------------------------------------------------------------------------------
def test_every_promise_has_exactly_one_state() -> None:
    said = SECURITY.split("\n## Promises", 1)[1]
    wanted = [f"{letter}{n}{'t' * (letter == 'F')}" for letter, count in PROMISES.items() for n in range(1, count + 1)]
    assert Counter(re.findall(r"\b([A-K]\d{1,2}t?)\b", said)) == Counter(wanted)


def test_a_promise_that_is_called_tested_names_its_test() -> None:
    rows = re.findall(r"^\| [A-K]\d+t? \| [^|]+ \| (?:tested|in part)[^|]* \|(.*)\|$", SECURITY, re.MULTILINE)
    assert rows
    assert [row for row in rows if "](tests/" not in row] == []


def test_every_test_of_security_faults_and_the_matrix_stands_beside_a_promise() -> None:
    folders = ("matrix", "security", "faults")
    there = {str(p.relative_to(ROOT)) for name in folders for p in (ROOT / "tests" / name).glob("test_*.py")}
    assert there - set(LINK.findall(SECURITY)) == set()


# -- the guide, which is what the demo's bot knows -------------------------------------------------------------------
@pytest.mark.parametrize("path", GUIDE, ids=_name)
def test_a_page_of_the_guide_has_one_title_and_no_heading_twice(path: Path) -> None:
    text = FENCE.sub("", path.read_text())
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1
    assert [slug for slug, count in Counter(_slugs(path)).items() if count > 1] == []


@pytest.mark.parametrize("page", [path.stem for path in GUIDE])
def test_a_file_of_the_guide_is_named_by_a_plain_word(page: str) -> None:
    assert re.fullmatch(r"[a-z]+(?:-[a-z]+)*", page)
