"""Stand-ins for the models, where a test is about what surrounds them. They replace the calls of apps.inference."""

from __future__ import annotations

import asyncio
import hashlib
import re
import sys
import uuid
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
import pytest

from apps.inference import services as inference
from apps.inference.services import GenerationStream, space_building
from apps.inference.types import (
    ClassifyResult,
    EmbedResult,
    GenerateRequest,
    GenerateStats,
    Piece,
    RerankResult,
    Span,
    TagResult,
    TextResult,
    TranslateItem,
)
from apps.nlp.services.heads import prototypes

DIMENSIONS = 384
LABELS = ("negative", "neutral", "positive")
# Words beyond this are cut off, as by a model that reads no more.
MAX_WORDS = 256
Say = Callable[[GenerateRequest], str]
# What a generation does: gives a piece, is silent for so many seconds, or fails.
Step = Piece | float | Exception


def vector_of(text: str) -> np.ndarray:
    """A unit vector that texts with common words share directions of."""
    vector = np.full(DIMENSIONS, 1e-3, dtype=np.float32)
    for word in re.findall(r"\w+", text.lower()):
        digest = hashlib.sha256(word.encode()).digest()
        vector[int.from_bytes(digest[:4], "big") % DIMENSIONS] += 1.0 if digest[4] % 2 else -1.0
    return vector / np.linalg.norm(vector)


class FakeGeneration:
    """Stands in for AsyncGeneration: does the steps one after the other."""

    def __init__(self, steps: Sequence[Step], stats: GenerateStats) -> None:
        self._steps, self._stats = list(steps), stats
        self.stats: GenerateStats | None = None
        self.closed = 0

    def __aiter__(self) -> FakeGeneration:
        return self

    async def __anext__(self) -> Piece:
        while self._steps:
            step = self._steps.pop(0)
            if isinstance(step, Exception):
                raise step
            if isinstance(step, Piece):
                return step
            await asyncio.sleep(step)
        self.stats = self._stats
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed += 1


class FakeModels:
    """Answers every call of a process; keeps what it was given. `say` returns the whole text of a generation, `steps`
    what an asynchronous one does."""

    def __init__(self, say: Say | None = None) -> None:
        self.prompts: list[str] = []
        self.embedded: list[str] = []
        self.translated: list[TranslateItem] = []
        self.tenants: set[uuid.UUID] = set()
        self.say: Say = say or quote_first_passage
        self.before_generate: Callable[[], None] = lambda: None
        self.requests: list[GenerateRequest] = []
        self.generations: list[FakeGeneration] = []
        self.steps: Callable[[GenerateRequest], Sequence[Step]] = lambda request: list(self._words(request))
        self.finish_reasons: tuple[str, ...] = ()
        self.models: list[str] = []

    def embed_texts(self, texts: Sequence[str], *, tenant_id: uuid.UUID, model: str = "", **_: Any) -> EmbedResult:
        self._note(tenant_id, model)
        self.embedded.extend(texts)
        vectors = np.stack([vector_of(text) for text in texts]).astype(np.float32)
        return EmbedResult(vectors, _too_long(texts), sum(len(text.split()) for text in texts))

    def classify_texts(
        self, texts: Sequence[str | tuple[str, str]], *, tenant_id: uuid.UUID, model: str = "", **_: Any
    ) -> ClassifyResult:
        """Logits: how often a text, or the second of a pair, has each label's name, times ten."""
        self._note(tenant_id, model)
        plain = [text if isinstance(text, str) else text[1] for text in texts]
        logits = [[10.0 * text.count(label) for label in LABELS] for text in plain]
        return ClassifyResult(LABELS, np.array(logits, dtype=np.float32), _too_long(plain), len(plain))

    def rerank_texts(
        self, query: str, texts: Sequence[str], *, tenant_id: uuid.UUID, model: str = "", **_: Any
    ) -> RerankResult:
        """Logits: how many words of a text are in the query, less one."""
        self._note(tenant_id, model)
        found = [len(set(text.split()) & set(query.split())) - 1.0 for text in texts]
        return RerankResult(np.array(found, dtype=np.float32), _too_long(texts), len(texts))

    def tag_texts(self, texts: Sequence[str], *, tenant_id: uuid.UUID, model: str = "", **_: Any) -> TagResult:
        """Spans: words that begin with a capital are names; those of capitals alone are organisations."""
        self._note(tenant_id, model)
        plain = [text if isinstance(text, str) else text[0] for text in texts]  # or (text, language)
        spans = [
            tuple(
                Span(m.start(), m.end(), "ORG" if m[0].isupper() else "PER", 0.9, m[0])
                for m in re.finditer(r"\b[A-Z]\w+", text)
            )
            for text in plain
        ]
        return TagResult(tuple(spans), _too_long(plain), len(plain))

    def translate_texts(
        self, items: Sequence[TranslateItem], *, tenant_id: uuid.UUID, model: str = "", **_: Any
    ) -> TextResult:
        """The other language is written in capitals."""
        self._note(tenant_id, model)
        self.translated.extend(items)
        return TextResult(tuple(item.text.upper() for item in items), (), len(items))

    async def generate_async(self, request: GenerateRequest, *, tenant_id: uuid.UUID, **_: Any) -> FakeGeneration:
        self._note(tenant_id, request.model)
        self.requests.append(request)
        self.prompts.append("\n".join(message.content for message in request.messages) or request.prompt or "")
        self.before_generate()
        steps = self.steps(request)
        tokens = sum(step.tokens for step in steps if isinstance(step, Piece))
        reasons: Any = self.finish_reasons or ("stop",) * request.n
        self.generations.append(FakeGeneration(steps, GenerateStats(7, tokens, 0.0, 0.0, reasons[0], reasons)))
        return self.generations[-1]

    def _note(self, tenant_id: uuid.UUID, model: str) -> None:
        self.tenants.add(tenant_id)
        self.models.append(model)

    def _words(self, request: GenerateRequest) -> list[Piece]:
        words = re.findall(r"\S+\s*", self.say(request))
        return [Piece(word, 1, index) for word in words for index in range(request.n)]

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


def _too_long(texts: Sequence[str]) -> tuple[int, ...]:
    return tuple(number for number, text in enumerate(texts) if len(text.split()) > MAX_WORDS)


def quote_first_passage(request: GenerateRequest) -> str:
    """What an obedient model would say: the first passage, which follows "Text:" or its numbered title."""
    lines = request.messages[-1].content.splitlines()
    heads = [number for number, line in enumerate(lines) if line == "Text:" or line.startswith("[1] ")]
    return lines[heads[0] + 1] if heads else ""


CALLS = (
    "embed_texts",
    "classify_texts",
    "rerank_texts",
    "tag_texts",
    "translate_texts",
    "generate_stream",
    "generate_async",
)


def install(monkeypatch: pytest.MonkeyPatch, models: FakeModels) -> FakeModels:
    """Put the stand-ins into every module of ours that has imported the real calls."""
    ours = [module for name, module in sys.modules.items() if name.startswith("apps.") and "inference" not in name]
    # The one module of inference that calls it as other apps do.
    ours.append(space_building)
    for name in CALLS:
        real = getattr(inference, name)
        for module in ours:
            if getattr(module, name, None) is real:
                monkeypatch.setattr(module, name, getattr(models, name))
    # Heads that the real models made must not meet vectors of these, nor the other way round.
    monkeypatch.setattr(prototypes, "_heads", OrderedDict())
    return models
