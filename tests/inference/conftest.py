"""The real models, loaded once for all tests of the engine, and an emptied Valkey."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings

from apps.core.redis import redis_client
from apps.inference.catalogue import catalogue_load
from apps.inference.engine.host import EngineHost
from apps.inference.engine.types import EngineConfig


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the converted weights of this run lie."""
    return tmp_path_factory.mktemp("inference")


@pytest.fixture(scope="session")
def host(data_dir: Path) -> Iterator[EngineHost]:
    """Both default models, warm, with room for 4 active and 4 waiting generations."""
    config = EngineConfig(data_dir, chat_max_active=4, chat_max_queued=4)
    known = catalogue_load()
    running = EngineHost(known.models, known.defaults, config)
    running.load()
    yield running
    running.stop()


@pytest.fixture
def valkey() -> Iterator[redis.Redis]:
    """The client of the application, on an empty database."""
    assert "nlpsuite-tests" in settings.REDIS_URL or "nlpsuite-" in settings.REDIS_URL
    client = redis_client()
    client.flushdb()
    yield client
    client.flushdb()


@pytest.fixture
def tenant_id() -> uuid.UUID:
    return uuid.uuid4()
