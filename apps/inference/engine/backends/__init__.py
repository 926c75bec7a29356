"""The table of backends. Each is imported when a model of it is loaded, so that a process pays only for what it uses."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from apps.inference.engine.errors import ModelUnavailable
from apps.inference.engine.types import BATCH_ROLES, Capability, EngineConfig, ModelSpec

_PACKAGE = "apps.inference.engine.backends"
CHAT_BACKENDS: dict[str, str] = {
    "openvino-genai": "process_chat:OpenVinoChat",
    "llama-cpp": "llama_chat:LlamaChat",
    "openai": "remote_chat:RemoteChat",
    "transformers": "transformers_chat:TransformersChat",
}
BATCH_BACKENDS: dict[tuple[str, str], str] = {
    ("embedding", "sentence-transformers"): "sentence_embed:SentenceEmbedder",
    ("classifier", "transformers"): "transformers_encoder:TransformersClassifier",
    ("classifier", "sentence-head"): "sentence_head:SentenceHead",
    ("reranker", "transformers"): "transformers_encoder:TransformersReranker",
    ("tagger", "transformers"): "transformers_encoder:TransformersTagger",
    ("tagger", "spacy"): "process_tagger:ProcessTagger",
    ("tagger", "presidio"): "process_tagger:ProcessTagger",
    ("embedding", "remote"): "remote_batch:RemoteBatch",
    ("classifier", "remote"): "remote_batch:RemoteBatch",
    ("reranker", "remote"): "remote_batch:RemoteBatch",
    ("translator", "bergamot"): "bergamot:BergamotTranslator",
    ("translator", "transformers"): "transformers_seq2seq:TransformersTranslator",
    ("text2text", "transformers"): "transformers_seq2seq:TransformersText2Text",
}


def backend_make(spec: ModelSpec, path: Path, config: EngineConfig) -> Any:
    """Return the ChatBackend or BatchBackend of `spec`, not loaded yet. Raises ModelUnavailable for an unknown one."""
    if spec.role in BATCH_ROLES:
        place = BATCH_BACKENDS.get((spec.role, spec.backend))
        known = sorted(name for role, name in BATCH_BACKENDS if role == spec.role)
    else:
        place, known = CHAT_BACKENDS.get(spec.backend), sorted(CHAT_BACKENDS)
    if place is None:
        listed = ", ".join(known) or "none"
        raise ModelUnavailable(f"{spec.name}: no backend {spec.backend!r} for the role {spec.role}; known: {listed}")
    return _class(place)(spec, path, config)


def capabilities_of(spec: ModelSpec) -> frozenset[Capability]:
    """Return what the entry's chat backend can do; nothing for other roles and unknown backends. Loads no model."""
    place = CHAT_BACKENDS.get(spec.backend) if spec.role == "chat" else None
    if place is None:
        return frozenset()
    capabilities: frozenset[Capability] = _class(place).capabilities
    return capabilities if spec.adapters else capabilities - {"adapters"}


def _class(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(f"{_PACKAGE}.{module}"), name)
