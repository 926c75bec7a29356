"""Values of the inference service. The engine's own are given on under this name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

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

# Of `name@revision`, as it is stored beside each vector.
SPACE_CHARS = 200


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model by name and pinned revision, as stored beside what it made."""

    name: str
    revision: str

    @property
    def space(self) -> str:
        """Return the name of the space that an encoder's vectors lie in: those of two spaces do not compare."""
        return f"{self.name}@{self.revision}"[:SPACE_CHARS]


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
class SpaceInfo:
    """The space that one kind of an organisation's vectors is searched in, and how far the next one is.

    `holder`: "passages" or "messages". `searched`: whether the encoder of `serving` is in the catalogue; without it a
    search goes by words alone. `building` is "" when nothing is being made, else `done` of `total` texts have their
    vector there; `error_code` says why the last try ended.
    """

    holder: str
    serving: str
    searched: bool
    building: str
    done: int
    total: int
    paused: bool
    error_code: str
    switched_at: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """Return what the API shows."""
        return {
            "holder": self.holder,
            "serving": self.serving,
            "search": "meaning" if self.searched else "words",
            "building": self.building or None,
            "done": self.done,
            "total": self.total,
            "progress": round(self.done / self.total, 4) if self.building and self.total else 1.0 - bool(self.building),
            "paused": self.paused,
            "error": self.error_code or None,
            "switched_at": self.switched_at,
        }


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
    "SPACE_CHARS",
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
    "SpaceInfo",
    "Span",
    "TagResult",
    "TextResult",
    "TokenLogprob",
    "TranslateItem",
]
