"""A catalogue with a model of each role, and stand-ins that answer for all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

# Whatever imports the real calls must be there before the stand-ins are put in.
from nlpsuite.urls import urlpatterns  # noqa: F401
from tests import fakes

CHAT, EMBEDDING = "smollm2-135m-instruct", "all-minilm-l6-v2"


def entry(name: str, role: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "role": role,
        "backend": "none",
        "source": f"path:/nowhere/{name}",
        "revision": "1",
        "files": {},
        "licence": "none",
        "context_tokens": 256,
        **more,
    }


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    """Stand-ins that answer everything; generations say two words."""
    return fakes.install(monkeypatch, fakes.FakeModels(lambda request: "Hello there"))


@pytest.fixture
def every_role(tmp_path: Path, settings: Any) -> None:
    """An installation that has a classifier, a reranker and a tagger, and a second model of two roles."""
    path = tmp_path / "catalogue.json"
    found = [
        entry("moods", "classifier", labels=list(fakes.LABELS)),
        entry("ranks", "reranker"),
        entry("names", "tagger"),
        entry("other/vectors", "embedding", dim=384),
        entry("tuned", "chat", backend="llama-cpp", adapters={"polite": "path:/nowhere/polite"}),
    ]
    defaults = {"classifier": "moods", "reranker": "ranks", "tagger": "names"}
    path.write_text(json.dumps({"models": found, "defaults": defaults}))
    settings.INFERENCE_CATALOGUE = path


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chat model can do everything that any backend can."""
    everything = frozenset(("seed", "logprobs", "top_logprobs", "json_schema", "beams", "min_p", "adapters", "prompt"))
    monkeypatch.setattr("apps.inference.services.models.capabilities_of", lambda spec: everything)
