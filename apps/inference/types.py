"""Values of the inference service. The engine's own are given on under this name."""

from __future__ import annotations

from dataclasses import dataclass

from apps.inference.engine.types import (
    ChatMessage,
    EmbedResult,
    GenerateRequest,
    GenerateStats,
    ModelSpec,
    Piece,
    Priority,
    PromptStyle,
    Role,
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

    @property
    def ref(self) -> ModelRef:
        """Name and revision alone."""
        return ModelRef(self.name, self.revision)


__all__ = [
    "ChatMessage",
    "EmbedResult",
    "GenerateRequest",
    "GenerateStats",
    "ModelInfo",
    "ModelRef",
    "ModelSpec",
    "Piece",
    "Priority",
    "PromptStyle",
    "Role",
]
