"""The real models, in the process of the tests: the default ones loaded before the first test, others when first asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apps.inference.catalogue import catalogue_load
from apps.inference.engine.host import EngineHost
from apps.inference.engine.types import EngineConfig
from apps.inference.services import local


@pytest.fixture(scope="package")
def _host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHost]:
    known = catalogue_load()
    running = EngineHost(known.models, known.defaults, EngineConfig(tmp_path_factory.mktemp("models")))
    # What takes longest to load takes most of a call's deadline, on a busy machine all of it.
    running.load()
    yield running
    running.stop()


@pytest.fixture
def models(_host: EngineHost, monkeypatch: pytest.MonkeyPatch) -> EngineHost:
    """Calls of the inference service are answered here, by the packaged models."""
    monkeypatch.setattr(local._State, "host", _host)
    return _host
