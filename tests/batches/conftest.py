"""Batches with stand-ins for the models, files of their own, and the test as the broker."""

from __future__ import annotations

from typing import Any

import pytest

from tests import fakes


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels())


@pytest.fixture(autouse=True)
def _hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test is the broker."""
    monkeypatch.setattr("apps.jobs.services.enqueue.broker_hint", lambda job_id, queue: None)


@pytest.fixture(autouse=True)
def _files(settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = str(tmp_path / "files")
