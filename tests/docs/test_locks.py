"""The locks hold what the requirements ask for, each file of it by hash, and no place that it came from (J4)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.audit import pins
from tools.lock import BY_VERSION_ALONE, LOCKS, entries_of

ROOT = Path(__file__).resolve().parents[2]
NAMES = [lock for lock, _, _ in LOCKS]
ASKED = [(lock, source) for lock, *sources in LOCKS for source in sources if source]
BLOCK = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+(?: ; [^\\\n]+)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n")


def _canonical(name: str) -> str:
    return re.sub(r"[._-]+", "-", name).lower()


def _pins(path: Path) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", path.read_text(), re.MULTILINE)
    return {_canonical(name): version for name, version in found}


@pytest.mark.parametrize(("lock", "source"), ASKED)
def test_a_lock_has_every_requirement_in_its_version(lock: str, source: str) -> None:
    locked = _pins(ROOT / "requirements.lock") | _pins(ROOT / lock)
    asked = {name: version for name, version in _pins(ROOT / source).items() if not BY_VERSION_ALONE.fullmatch(name)}
    assert {name: locked.get(name) for name in asked} == asked


@pytest.mark.parametrize("lock", NAMES)
def test_each_entry_is_one_version_with_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text()
    entries = entries_of(text)
    assert [name for name, block in entries.items() if not BLOCK.fullmatch(block)] == []
    assert len(entries) == len(re.findall(r"^[A-Za-z0-9._-]+==", text, re.MULTILINE))


@pytest.mark.parametrize("lock", NAMES)
def test_a_lock_names_no_index_and_no_folder(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert re.findall(r"://|^-|--(?:index|extra|find|trusted)|/", text.split("\n", 1)[1], re.MULTILINE) == []


def test_two_locks_never_hold_the_same_package() -> None:
    """Bench and dev stand on top of the product's; what they installed again could be another version."""
    names = [name for lock in NAMES[:3] for name in entries_of((ROOT / lock).read_text())]
    assert len(names) == len(set(names))


def test_torch_is_pinned_by_version_and_in_no_lock() -> None:
    assert re.findall(r"^torch==[\d.]+$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    locked = {name for lock in NAMES for name in entries_of((ROOT / lock).read_text())}
    assert [name for name in locked if BY_VERSION_ALONE.fullmatch(name)] == []


def test_the_scan_asks_for_all_of_it() -> None:
    asked = pins([ROOT / lock for lock in NAMES])
    assert len(asked) >= 200
    assert any(pin.startswith("torch==") for pin in asked)


def test_everything_is_installed_from_a_lock() -> None:
    """But torch, by its version; the image like the Makefile."""
    made = (ROOT / "Makefile").read_text() + (ROOT / "docker/Dockerfile").read_text()
    installs = re.findall(r"(?:pip install|\$\(HASHED\)|\$\(PIP\)) (?!--quiet)(.*)", made)
    allowed = re.compile(
        r'-r requirements(?:-\w+)?\.lock|--require-hashes --no-deps( -r requirements\.lock \\)?|.*torch==.*|"\$\(TORCH\)"',
        re.I,
    )
    assert [line for line in installs if not allowed.fullmatch(line.strip())] == []
