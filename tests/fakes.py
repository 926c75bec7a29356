"""Stand-ins for the models, where a test is about what surrounds them. They replace the two calls of apps.inference."""

from __future__ import annotations

import hashlib
import re
import sys
import uuid
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
import pytest

from apps.inference import services as inference
from apps.inference.services import GenerationStream
from apps.inference.types import EmbedResult, GenerateRequest, GenerateStats, Piece

DIMENSIONS = 384
Say = Callable[[GenerateRequest], str]


def vector_of(text: str) -> np.ndarray:
    """A unit vector that texts with common words share directions of."""
    vector = np.full(DIMENSIONS, 1e-3, dtype=np.float32)
    for word in re.findall(r"\w+", text.lower()):
        digest = hashlib.sha256(word.encode()).digest()
        vector[int.from_bytes(digest[:4], "big") % DIMENSIONS] += 1.0 if digest[4] % 2 else -1.0
    return vector / np.linalg.norm(vector)


class FakeModels:
    """Answers every call of a process; keeps the prompts it was given. `say` returns the whole text of a generation."""

    def __init__(self, say: Say | None = None) -> None:
        self.prompts: list[str] = []
        self.embedded: list[str] = []
        self.tenants: set[uuid.UUID] = set()
        self.say: Say = say or quote_first_passage
        self.before_generate: Callable[[], None] = lambda: None

    def embed_texts(self, texts: Sequence[str], *, tenant_id: uuid.UUID, **_: Any) -> EmbedResult:
        self.tenants.add(tenant_id)
        self.embedded.extend(texts)
        return EmbedResult(np.stack([vector_of(text) for text in texts]).astype(np.float32))

    def generate_stream(
        self, request: GenerateRequest, *, tenant_id: uuid.UUID, should_stop: Callable[[], bool] = bool, **_: Any
    ) -> GenerationStream:
        self.tenants.add(tenant_id)
        self.prompts.append("\n".join(message.content for message in request.messages))
        return GenerationStream(self._pieces(request, should_stop))

    def _pieces(
        self, request: GenerateRequest, should_stop: Callable[[], bool]
    ) -> Generator[Piece, None, GenerateStats]:
        self.before_generate()
        count = 0
        for word in re.findall(r"\S+\s*", self.say(request)):
            if should_stop():
                return GenerateStats(1, count, 0.0, 0.0, "cancelled")
            count += 1
            yield Piece(word, 1)
        return GenerateStats(1, count, 0.0, 0.0, "stop")


def quote_first_passage(request: GenerateRequest) -> str:
    """What an obedient model would say: the first passage, which follows "Text:" or its numbered title."""
    lines = request.messages[-1].content.splitlines()
    heads = [number for number, line in enumerate(lines) if line == "Text:" or line.startswith("[1] ")]
    return lines[heads[0] + 1] if heads else ""


def install(monkeypatch: pytest.MonkeyPatch, models: FakeModels) -> FakeModels:
    """Put the stand-ins into every module of ours that has imported the real calls."""
    for name in ("embed_texts", "generate_stream"):
        real = getattr(inference, name)
        for module in list(sys.modules.values()):
            ours = getattr(module, "__name__", "").startswith("apps.") and "inference" not in module.__name__
            if ours and getattr(module, name, None) is real:
                monkeypatch.setattr(module, name, getattr(models, name))
    return models
