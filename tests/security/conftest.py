"""The real encoder, without the chat model: the groundedness check is measured with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from apps.inference.catalogue import MINILM
from apps.inference.engine.backends.sentence_embed import SentenceEmbedder
from apps.inference.engine.types import EngineConfig
from apps.inference.engine.weights import weights_prepare
from apps.inference.types import EmbedResult
from tests import fakes


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentenceEmbedder]:
    """MiniLM, loaded once."""
    config = EngineConfig(tmp_path_factory.mktemp("encoder"))
    loaded = SentenceEmbedder(MINILM, weights_prepare(MINILM, config.data_dir), config)
    loaded.load()
    yield loaded
    loaded.stop()


class HostileModels(fakes.FakeModels):
    """Real embeddings; a chat model that says whatever `say` makes it say."""

    def __init__(self, encoder: SentenceEmbedder) -> None:
        super().__init__()
        self._encoder = encoder

    def embed_texts(self, texts: Any, *, tenant_id: Any, **_: Any) -> EmbedResult:
        self.tenants.add(tenant_id)
        return EmbedResult(np.stack(self._encoder.run(self._encoder.prepare(list(texts)))))


@pytest.fixture
def hostile(encoder: SentenceEmbedder, monkeypatch: pytest.MonkeyPatch) -> HostileModels:
    return fakes.install(monkeypatch, HostileModels(encoder))  # type: ignore[return-value]
