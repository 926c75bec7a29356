"""Plain values that cross the engine's border."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Role = Literal["chat", "embedding", "classifier", "reranker", "tagger", "translator", "text2text"]
BATCH_ROLES: frozenset[Role] = frozenset(("embedding", "classifier", "reranker", "tagger", "translator", "text2text"))
FinishReason = Literal["stop", "length", "cancelled"]
Priority = Literal["live", "api", "batch"]
EmbedDtype = Literal["auto", "float32", "bfloat16"]

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn: `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """A prompt as chat turns, or as raw text in `prompt`, and how to continue it. `model` "" is the default chat model.

    Decoding: `temperature` 0 is greedy; `top_k` 0, `top_p` 1 and `min_p` 0 keep every token; `repetition_penalty` 1,
              `presence_penalty` 0 and `frequency_penalty` 0 change nothing; `beams` above 1 searches instead of sampling.
    Ends:     at `max_tokens`, at the model's own end, or before any of the strings `stop`, which stay unseen.
    Choices:  `n` independent answers to the same prompt; pieces carry their `index`.
    Log-probabilities: `logprobs` None gives none, 0 that of each chosen token, k also the k likeliest at its place.
    Shape:    `json_schema` constrains the text to a JSON document of that schema; {} to any JSON object.
    Seed:     what a backend does with `seed` is in its capabilities; where it has "seed" the same request repeats.
    Adapter:  the name of one of the model's low-rank adapters, "" for none.
    """

    messages: tuple[ChatMessage, ...] = ()
    max_tokens: int = 160
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    model: str = ""
    prompt: str | None = None
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    n: int = 1
    beams: int = 1
    logprobs: int | None = None
    json_schema: Mapping[str, Any] | None = None
    adapter: str = ""


# What a chat backend can do beyond temperature, top_p, top_k, stop, n and the penalties.
Capability = Literal["seed", "logprobs", "top_logprobs", "json_schema", "beams", "min_p", "adapters", "prompt"]


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One generated token with its natural log-probability, and the likeliest tokens at its place."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """New text of choice `index`, and how many model tokens it took (0 when held-back text is released)."""

    text: str
    tokens: int
    index: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class GenerateStats:
    """What one generation cost, all choices together. Times are seconds since it was submitted to the engine.

    `finish_reason` is that of choice 0, `finish_reasons` has one entry per choice.
    """

    prompt_tokens: int
    completion_tokens: int
    first_token_s: float
    total_s: float
    finish_reason: FinishReason
    finish_reasons: tuple[FinishReason, ...] = ()


@dataclass(frozen=True, slots=True)
class EmbedResult:
    """`vectors`: float32 (n, dim), rows of L2 norm 1; `truncated`: indexes of texts cut at the model's limit."""

    vectors: FloatArray
    truncated: tuple[int, ...] = ()
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class TranslateItem:
    """A text and its languages as the model names them; a model of one pair ignores the languages."""

    text: str
    source: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """A labelled part of a text: offsets in code points, the end exclusive; `score` is a probability."""

    start: int
    end: int
    label: str
    score: float
    text: str


# What the batch roles take and give, one per item:
#   embedding   str -> float32 (dim,) of norm 1          classifier  str or (str, str) -> float32 (labels,) logits
#   reranker    (query, text) -> float logit             tagger      str -> tuple[Span, ...]
#   translator  TranslateItem -> str                     text2text   str -> str
BatchItem = str | tuple[str, str] | TranslateItem


@dataclass(frozen=True, slots=True)
class BatchResult:
    """One value per item, in input order; `truncated`: indexes of items cut at the model's limit."""

    values: tuple[Any, ...]
    truncated: tuple[int, ...] = ()
    tokens: int = 0


PromptStyle = Literal["copy", "compose"]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One catalogue entry.

    `source` is `package:<module>/<path>`, `path:<folder or file>` or `hub:<owner>/<name>` (local cache only).
    `files` maps each file that is loaded to its sha256. `requantise` says what the weights are rewritten as before use:
    "exact" (see `exact`) or a GGUF type; `requantised` maps the files of that result that are the same on every machine
    to their sha256. `prompt_style` says how a chat model is best asked for grounded text: "copy" for small models, which
    keep to one passage when told to copy from it, else "compose".
    `memory_mb` is what the loaded model takes (0: estimated from its files). `labels` are a classifier's, in the order of
    its logits (empty: those of its configuration). `adapters` maps names to sources of low-rank adapters. `options` are
    the backend's own, documented at each backend.
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
    requantised: Mapping[str, str] = field(default_factory=dict)
    prompt_style: PromptStyle = "compose"
    memory_mb: int = 0
    labels: tuple[str, ...] = ()
    adapters: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How much of the machine the engine may use.

    `chat_batched_tokens` bounds one forward pass: larger starts prompts sooner, smaller disturbs running streams less.
    `memory_mb` bounds the models that are loaded at a time; 0 takes 60 % of the machine's memory.
    `transport` builds the HTTP transport to one model server by its base URL; `secret` gives a named key.
    """

    data_dir: Path
    threads: int = 2
    chat_max_active: int = 48
    chat_max_queued: int = 64
    chat_kv_cache_gb: int = 1
    chat_batched_tokens: int = 512
    embed_dtype: EmbedDtype = "auto"
    batch_tokens: int = 4096
    batch_max_queued: int = 4096
    memory_mb: int = 0
    transport: Callable[[str], Any] | None = None
    secret: Callable[[str], str] | None = None


@dataclass(slots=True)
class ChatCounters:
    """What a chat backend knows of itself since it was loaded; the rest its runner counts.

    `cached_tokens`: prompt tokens that were not computed again, None where the backend does not tell;
    `cache_usage`: share of the KV cache in use, 0 to 1.
    """

    prompt_tokens: int = 0
    cached_tokens: int | None = 0
    generated_tokens: int = 0
    restarts: int = 0
    cache_usage: float = 0.0
