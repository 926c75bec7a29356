"""Plain values that cross the engine's border."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Role = Literal["chat", "embedding"]
FinishReason = Literal["stop", "length", "cancelled"]
Priority = Literal["live", "api", "batch"]
ChatPrecision = Literal["auto", "float32"]
EmbedDtype = Literal["auto", "float32", "bfloat16"]

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn: `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """A prompt as chat turns. `temperature` 0 is greedy, `stop` strings end it unseen, `model` "" is the default.

    `seed` is handed to the backend; OpenVINO GenAI 2026.4 shares one sampler between its requests and does not repeat.
    """

    messages: tuple[ChatMessage, ...]
    max_tokens: int = 160
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    model: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """New text, and how many model tokens it took (0 when held-back text is released)."""

    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class GenerateStats:
    """What one generation cost. Times are seconds since it was submitted to the engine."""

    prompt_tokens: int
    completion_tokens: int
    first_token_s: float
    total_s: float
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True)
class EmbedResult:
    """`vectors`: float32 (n, dim), rows of L2 norm 1; `truncated`: indexes of texts cut at the model's limit."""

    vectors: FloatArray
    truncated: tuple[int, ...] = ()


PromptStyle = Literal["copy", "compose"]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One catalogue entry.

    `source` is `package:<module>/<path>`, `path:<folder or file>` or `hub:<owner>/<name>` (local cache only).
    `files` maps each file that is loaded to its sha256. `requantise` names the GGUF type the weights are rewritten to
    before use, `requantised_sha256` is the digest of that result. `prompt_style` says how a chat model is best asked for
    grounded text: "copy" for small models, which keep to one passage when told to copy from it, else "compose".
    """

    name: str
    role: Role
    backend: str
    source: str
    revision: str
    files: Mapping[str, str]
    licence: str
    context_tokens: int
    dim: int = 0
    requantise: str = ""
    requantised_sha256: str = ""
    prompt_style: PromptStyle = "compose"


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How much of the machine the engine may use.

    `chat_batched_tokens` bounds one forward pass: larger starts prompts sooner, smaller disturbs running streams less.
    `chat_precision` "auto" computes with 8-bit activations and cache where the processor gains from it; "float32" is
    half as fast and follows the float32 model token by token (docs/adr/0002-chat-engine.md).
    """

    data_dir: Path
    threads: int = 2
    chat_max_active: int = 16
    chat_max_queued: int = 16
    chat_kv_cache_gb: int = 1
    chat_batched_tokens: int = 512
    chat_precision: ChatPrecision = "auto"
    embed_dtype: EmbedDtype = "auto"
    embed_batch_tokens: int = 4096
    embed_max_queued_texts: int = 4096


@dataclass(slots=True)
class ChatCounters:
    """Counters since the chat model was loaded. `first_token_s` keeps the last 256 values."""

    active: int = 0
    queued: int = 0
    prompt_tokens: int = 0
    generated_tokens: int = 0
    finished: int = 0
    cancelled: int = 0
    failed: int = 0
    restarts: int = 0
    first_token_s: list[float] = field(default_factory=list)


@dataclass(slots=True)
class EmbedCounters:
    """Counters since the embedding model was loaded."""

    queued_texts: int = 0
    texts: int = 0
    tokens: int = 0
    batches: int = 0
    expired: int = 0
