"""A model server of this suite, and backends that speak to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.core.egress import model_server_transport
from apps.inference.engine.backends import remote_breaker, remote_link
from apps.inference.engine.backends.remote_chat import RemoteChat
from apps.inference.engine.types import EngineConfig, ModelSpec
from tests.inference.backends.remote_chat.asking import Make
from tests.inference.backends.remote_server import ModelServer, answer

SECRETS = {"VLLM_KEY": "sk-secret"}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    running = ModelServer()
    running.chat(answer("Hello", " there"))
    yield running
    running.close()


@pytest.fixture
def make(server: ModelServer) -> Iterator[Make]:
    """Returns a loaded backend of the server; takes options, and `adapters`."""
    made: list[RemoteChat] = []

    def build(*, source: str = "", adapters: dict[str, str] | None = None, **options: Any) -> RemoteChat:
        spec = ModelSpec(
            name="far",
            role="chat",
            backend="remote",
            source=source or f"remote:{server.base}",
            revision="",
            files={},
            licence="",
            context_tokens=4096,
            adapters=adapters or {},
            options={"model": "served-name", "timeout_s": 2.0, "retries": 2, **options},
        )
        config = EngineConfig(Path(), transport=model_server_transport, secret=lambda name: SECRETS.get(name, ""))
        backend = RemoteChat(spec, Path(), config)
        backend.load()
        made.append(backend)
        return backend

    yield build
    for backend in made:
        backend.stop()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses."""
    monkeypatch.setattr(remote_link, "_FIRST_BACKOFF_S", 0.02)
    monkeypatch.setattr(remote_breaker, "FIRST_PAUSE_S", 0.3)
