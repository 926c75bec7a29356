"""The language tasks beside the plain library call that a program would make instead.

    python -m bench --suite nlp

Ours is `nlp_run` in one process with its engine, 256 texts a call: options, checks, sentences and error handling included.
Tasks that ask for an organisation's settings or its budget are called over HTTP, on a running product. Peers are the
library's own call in the process of the bench, one after the other, in batches of 32 where it takes batches.
"""

from __future__ import annotations

import os
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.measure import ROUNDS
from bench.nlp_peers import LABELS, QUESTION, Work
from bench.paths import ROOT
from bench.product import product
from bench.progress import say
from bench.results import Case, case
from bench.sentences import sentences
from tests.stack import Stack

_AT_ONCE = 256
# Texts that warm a player up.
_WARM = 16
_TEXTS, _DOCUMENTS, _BRIEFS = 512, 64, 16
_DOCUMENT_SENTENCES = 20
_DRAFT_TOKENS = 64
_DEADLINE_S = 600.0


@dataclass(frozen=True)
class Asked:
    """One case. `over_http`: ours is asked through the API of a running product."""

    name: str
    task: str
    texts: Sequence[str]
    peers: dict[str, Work]
    options: dict[str, Any] = field(default_factory=dict)
    over_http: bool = False


def run(rounds: int = ROUNDS) -> dict[str, Case]:
    """Return the rate of each task, in texts a second: medians of `rounds` repetitions in turning order."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nlpsuite.settings.base")
    import django

    django.setup()
    host = _host()
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    try:
        with product() as stack:
            asked = [*_reading(), *_in_documents(), *_written()]
            for number in range(rounds):
                for one in asked:
                    _measure(one, stack, number, rounds, found[one.name])
    finally:
        host.stop()
    return {name: _case(values) for name, values in found.items()}


def _measure(one: Asked, stack: Stack, number: int, rounds: int, found: dict[str, list[float]]) -> None:
    """Take one repetition of a case with every player."""
    players = {"ours": _over_http(one, stack) if one.over_http else _in_process(one), **one.peers}
    names = list(players)
    # Nobody always comes first.
    for name in names[number % len(names) :] + names[: number % len(names)]:
        say(f"nlp: {one.name}, {name}, repetition {number + 1} of {rounds}")
        if not number:
            players[name](one.texts[: min(_WARM, len(one.texts) // 4)])
        began = time.perf_counter()
        players[name](one.texts)
        found[name].append(len(one.texts) / (time.perf_counter() - began))


def _case(values: dict[str, list[float]]) -> Case:
    medians = {name: sorted(rates)[len(rates) // 2] for name, rates in values.items()}
    return case(medians.pop("ours"), medians, "texts/s", higher=True)


# -- ours ----------------------------------------------------------------------------------------------------------------
def _host() -> Any:
    from apps.inference.catalogue import catalogue_load
    from apps.inference.engine.host import EngineHost
    from apps.inference.engine.types import EngineConfig
    from apps.inference.services import local

    known = catalogue_load()
    host = EngineHost(known.models, known.defaults, EngineConfig(ROOT / ".data" / "bench"))
    local._State.host = host
    return host


def _in_process(one: Asked) -> Work:
    from apps.nlp.services import nlp_run

    tenant_id = uuid.uuid4()

    def work(texts: Sequence[str]) -> None:
        for begin in range(0, len(texts), _AT_ONCE):
            part = texts[begin : begin + _AT_ONCE]
            nlp_run(tenant_id=tenant_id, task=one.task, texts=part, options=one.options, deadline_s=_DEADLINE_S)

    return work


def _over_http(one: Asked, stack: Stack) -> Work:
    def work(texts: Sequence[str]) -> None:
        with stack.client(timeout=_DEADLINE_S) as client:
            for begin in range(0, len(texts), _AT_ONCE):
                body = {"texts": list(texts[begin : begin + _AT_ONCE])} | one.options
                client.post(f"/api/v1/nlp/{one.task}", json=body).raise_for_status()

    return work


# -- the cases -----------------------------------------------------------------------------------------------------------
def _texts(count: int, of: int) -> list[str]:
    """Return `count` texts of `of` sentences each; no two are the same."""
    found = sentences("en", 0, count * of)
    return [" ".join(found[begin : begin + of]) for begin in range(0, count * of, of)]


def _reading() -> list[Asked]:
    """Messages of two sentences."""
    from bench import nlp_peers as peers

    texts = _texts(_TEXTS, 2)
    cases: list[tuple[str, str, Work, dict[str, Any]]] = [
        ("sentiment", "sentence-transformers and scikit-learn", peers.labelling(3), {}),
        ("classify", "sentence-transformers and cosine", peers.nearest, {"labels": list(LABELS)}),
        ("entities", "spaCy pipe", peers.names, {}),
        ("redact", "presidio analyze", peers.personal, {"language": "en"}),
        ("language", "py3langid classify", peers.language, {}),
        ("keywords", "KeyBERT's method", peers.phrases, {}),
        ("moderate", "sentence-transformers and scikit-learn", peers.labelling(6), {}),
    ]
    return [
        Asked(f"{task}, {_TEXTS} texts", task, texts, {name: work}, options, over_http=task == "moderate")
        for task, name, work, options in cases
    ]


def _in_documents() -> list[Asked]:
    from bench import nlp_peers as peers

    texts = _texts(_DOCUMENTS, _DOCUMENT_SENTENCES)
    return [
        Asked(
            f"summarize, three sentences of {_DOCUMENT_SENTENCES}, {_DOCUMENTS} texts",
            "summarize",
            texts,
            {"sentence-transformers and TextRank": peers.ranked_sentences},
            {"length": "medium"},
        ),
        Asked(
            f"answer, {_DOCUMENTS} texts",
            "answer",
            texts,
            {"sentence-transformers and cosine of sentences": peers.nearest_sentence},
            {"question": QUESTION},
        ),
    ]


def _written() -> list[Asked]:
    """The chat model writes: greedy, the same messages and as many tokens at most for both."""
    from apps.nlp.services import generate, summarize
    from bench import nlp_peers as peers

    short = summarize.SummarizeOptions(method="abstractive", length="short")
    draft = {"template": "support_reply", "temperature": 0, "repetition_penalty": 1, "max_tokens": _DRAFT_TOKENS}
    wanted = generate.GenerateOptions.model_validate(draft)
    return [
        Asked(
            f"summarize, one written sentence, {_BRIEFS} texts",
            "summarize",
            _texts(_BRIEFS, 6),
            {"transformers generate": peers.writing(lambda text: summarize.request_of(text, short))},
            {"method": "abstractive", "length": "short"},
            over_http=True,
        ),
        Asked(
            f"generate, {_DRAFT_TOKENS} tokens at most, {_BRIEFS} texts",
            "generate",
            _texts(_BRIEFS, 2),
            {"transformers generate": peers.writing(lambda text: generate.request_of(text, (), wanted))},
            draft,
            over_http=True,
        ),
    ]
