"""Apps import what other apps offer, and nothing else: the contract that import-linter runs."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from grimp import ImportGraph

from tools.borders import crossings

CONTRACTS = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["tool"]["importlinter"]
PUBLIC, LIBRARIES = {"services", "types"}, {"core"}


def _graph(importer: str, imported: str) -> ImportGraph:
    graph = ImportGraph()
    for module in ("apps", "apps.left", "apps.right", "apps.core", importer, imported):
        graph.add_module(module)
    graph.add_import(importer=importer, imported=imported, line_number=3, line_contents="import")
    return graph


@pytest.mark.parametrize(
    "imported", ["apps.right.models", "apps.right.models.things", "apps.right", "apps.right.typesetting"]
)
def test_what_is_not_offered_is_refused(imported: str) -> None:
    found = crossings(_graph("apps.left.services.work", imported), "apps", PUBLIC, LIBRARIES)
    assert found == [("apps.left.services.work", imported, 3)]


@pytest.mark.parametrize(
    "imported",
    ["apps.right.services", "apps.right.services.work", "apps.right.types", "apps.core.boot", "apps.left.models"],
)
def test_what_is_offered_is_let_through(imported: str) -> None:
    assert crossings(_graph("apps.left.views", imported), "apps", PUBLIC, LIBRARIES) == []


def test_the_contract_has_no_exceptions() -> None:
    (contract,) = [one for one in CONTRACTS["contracts"] if one["type"] == "public_parts"]
    assert sorted(contract["public"]) == ["access", "errors", "selectors", "services", "types"]
    assert "ignore_imports" not in contract
