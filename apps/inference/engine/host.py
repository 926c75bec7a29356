"""The models of one process: loaded once, warm, shared by its threads."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from apps.inference.engine.base import ChatBackend, EmbedBackend, Generation
from apps.inference.engine.errors import ModelUnavailable
from apps.inference.engine.openvino_chat import OpenVinoChat
from apps.inference.engine.sentence_embed import SentenceEmbedder
from apps.inference.engine.types import (
    ChatCounters,
    EmbedCounters,
    EmbedResult,
    EngineConfig,
    GenerateRequest,
    ModelSpec,
    Priority,
)
from apps.inference.engine.weights import weights_prepare

logger = logging.getLogger(__name__)

T = TypeVar("T")

CHAT_BACKENDS: dict[str, Callable[[ModelSpec, Path, EngineConfig], ChatBackend]] = {"openvino-genai": OpenVinoChat}
EMBED_BACKENDS: dict[str, Callable[[ModelSpec, Path, EngineConfig], EmbedBackend]] = {
    "sentence-transformers": SentenceEmbedder
}


@dataclass(frozen=True, slots=True)
class HostInfo:
    """Counters of both models, and how long they took to load."""

    chat_model: str
    embedding_model: str
    load_s: float
    chat: ChatCounters
    embedding: EmbedCounters


class EngineHost:
    """One chat model and one embedding model, ready to use after `load`."""

    def __init__(self, chat: ModelSpec, embedding: ModelSpec, config: EngineConfig) -> None:
        self.chat_spec, self.embedding_spec = chat, embedding
        self._config = config
        self._chat: ChatBackend | None = None
        self._embed: EmbedBackend | None = None
        self._load_s = 0.0

    def load(self) -> None:
        """Check, load and warm both models, side by side (5 to 12 s). Raises ModelUnavailable and its kinds."""
        started = time.monotonic()
        with ThreadPoolExecutor(2, thread_name_prefix="engine-load") as pool:
            chat, embed = pool.submit(self._load_chat), pool.submit(self._load_embed)
            self._chat, self._embed = chat.result(), embed.result()
        self._load_s = time.monotonic() - started
        logger.info("models loaded in %.1f s: %s, %s", self._load_s, self.chat_spec.name, self.embedding_spec.name)

    def embed(self, texts: Sequence[str], *, deadline_s: float, priority: Priority = "live") -> EmbedResult:
        """See SentenceEmbedder.embed."""
        if self._embed is None:
            raise ModelUnavailable("the embedding model is not loaded")
        return self._embed.embed(texts, deadline_s=deadline_s, priority=priority)

    def generate(self, request: GenerateRequest, *, deadline_s: float) -> Generation:
        """Start a generation with the loaded model. Raises Overloaded, ModelUnavailable."""
        if self._chat is None or request.model not in ("", self.chat_spec.name):
            raise ModelUnavailable(f"{request.model or self.chat_spec.name} is not loaded")
        return self._chat.generate(request, deadline_s=deadline_s)

    def health(self) -> dict[str, bool]:
        """Return {model name: answers}."""
        return {
            self.chat_spec.name: self._chat is not None and self._chat.health(),
            self.embedding_spec.name: self._embed is not None and self._embed.health(),
        }

    def info(self) -> HostInfo:
        """Return the counters of both models."""
        return HostInfo(
            chat_model=self.chat_spec.name,
            embedding_model=self.embedding_spec.name,
            load_s=self._load_s,
            chat=self._chat.info() if self._chat else ChatCounters(),
            embedding=self._embed.info() if self._embed else EmbedCounters(),
        )

    def stop(self) -> None:
        """End active generations as cancelled, fail waiting texts, end the chat process. Takes at most 4 s."""
        for backend in (self._chat, self._embed):
            if backend is not None:
                backend.stop()

    def _load_chat(self) -> ChatBackend:
        backend = _backend(CHAT_BACKENDS, self.chat_spec, self._config)
        backend.load()
        return backend

    def _load_embed(self) -> EmbedBackend:
        backend = _backend(EMBED_BACKENDS, self.embedding_spec, self._config)
        backend.load()
        return backend


def _backend(
    table: dict[str, Callable[[ModelSpec, Path, EngineConfig], T]], spec: ModelSpec, config: EngineConfig
) -> T:
    if spec.backend not in table:
        raise ModelUnavailable(f"{spec.name}: unknown backend {spec.backend!r}; known are {', '.join(table)}")
    return table[spec.backend](spec, weights_prepare(spec, config.data_dir), config)
