"""Values of the inference service. The engine's own are given on under this name."""

from __future__ import annotations

from dataclasses import dataclass

from apps.inference.engine.explaining import Attribution
from apps.inference.engine.types import (
    Capability,
    ChatMessage,
    EmbedResult,
    FloatArray,
    GenerateRequest,
    GenerateStats,
    ModelSpec,
    Piece,
    Priority,
    PromptStyle,
    Role,
    Span,
    TokenLogprob,
    TranslateItem,
)


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model by name and pinned revision, as stored beside what it made."""

    name: str
    revision: str


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A catalogue entry as callers see it. `dim` is 0 for chat models; `max_tokens` is the longest input."""

    name: str
    role: Role
    backend: str
    source: str
    revision: str
    licence: str
    max_tokens: int
    dim: int
    prompt_style: PromptStyle
    is_default: bool
    labels: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    languages: tuple[tuple[str, str], ...] = ()
    capabilities: tuple[str, ...] = ()

    @property
    def ref(self) -> ModelRef:
        """Name and revision alone."""
        return ModelRef(self.name, self.revision)


@dataclass(frozen=True, slots=True)
class ClassifyResult:
    """`logits`: float32 (n, labels), raw scores in the order of `labels`; `truncated`: indexes of texts that were cut."""

    labels: tuple[str, ...]
    logits: FloatArray
    truncated: tuple[int, ...] = ()
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class RerankResult:
    """`logits`: float32 (n,), raw relevance of each text in input order."""

    logits: FloatArray
    truncated: tuple[int, ...] = ()
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class TagResult:
    """`spans`: one tuple of spans per text, in order of their start."""

    spans: tuple[tuple[Span, ...], ...]
    truncated: tuple[int, ...] = ()
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class TextResult:
    """`texts`: one per input, in order."""

    texts: tuple[str, ...]
    truncated: tuple[int, ...] = ()
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class LinearHead:
    """Probabilities over an embedding model: softmax(vectors @ weights.T + bias); `weights` are (labels, dim)."""

    weights: FloatArray
    bias: FloatArray


__all__ = [
    "Attribution",
    "Capability",
    "ChatMessage",
    "ClassifyResult",
    "EmbedResult",
    "GenerateRequest",
    "GenerateStats",
    "LinearHead",
    "ModelInfo",
    "ModelRef",
    "ModelSpec",
    "Piece",
    "Priority",
    "PromptStyle",
    "RerankResult",
    "Role",
    "Span",
    "TagResult",
    "TextResult",
    "TokenLogprob",
    "TranslateItem",
]
