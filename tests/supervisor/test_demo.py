"""Seeding the demo survives being cut short at any point."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import authenticate

from apps.knowledge.selectors import sources_list
from apps.tenants.selectors import organization_demo
from nlpsuite import demo

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def seed(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(demo, "_wait_models", lambda say: None)
    monkeypatch.setattr(demo, "_wait_sources", lambda *_: None)
    return tmp_path / "demo.json"


def _killed_at(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def end(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(demo, name, end)
        with pytest.raises(Killed):
            demo.demo_seed(say=print)


@pytest.mark.parametrize("step", ["_write", "inbox_create", "_wait_models", "_ingest_guide", "_ingest_text"])
def test_a_start_that_was_killed_is_made_good_by_the_next(
    seed: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    _killed_at(monkeypatch, step)
    demo.demo_seed(say=print)
    body = json.loads(seed.read_text())
    assert authenticate(username=body["owner"]["email"], password=body["owner"]["password"]) is not None
    found = organization_demo()
    assert found is not None
    assert str(found.id) == body["organization_id"]
    names = [source.name for source in sources_list(tenant_id=found.id, limit=100)[0]]
    assert names
    assert len(names) == len(set(names))
    assert "seeding" not in body


def test_what_was_removed_from_the_demo_stays_away(seed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo.demo_seed(say=print)
    before = json.loads(seed.read_text())
    monkeypatch.setattr(demo, "_ingest_guide", lambda *_: pytest.fail("ingested again"))
    demo.demo_seed(say=print)
    assert json.loads(seed.read_text()) == before
