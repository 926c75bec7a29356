"""The answer to a question, out of a text or a collection, or that it is not there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field

from apps.analysis.services.entities import EntitiesOptions
from apps.analysis.services.entities import run as entities_run
from apps.analysis.services.grounding.text import content_terms, term_set
from apps.analysis.services.heads import vectors_of
from apps.analysis.services.segments import sentences_of
from apps.analysis.types import Call, Options, Outcome
from apps.inference.services import default_model
from apps.knowledge.selectors import passages_search
from apps.knowledge.types import Passage

# Least score: below, the text is about something else (docs/guide/nlp-quality.md).
MIN_SCORE = 0.43
_PASSAGES = 5
_MAX_SENTENCES = 4_000
# Sentences that are looked at for the kind of thing that the question asks for.
_BEST = 8
_COSINE, _WORDS, _KIND = 0.75, 0.2, 0.12
# What kind of thing a question asks for.
_ASKS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(r"^\W*(?:who|whom|whose)\b", re.IGNORECASE), ("person", "organization")),
    (re.compile(r"^\W*(?:when|(?:what|which) (?:date|day|year|month))\b", re.IGNORECASE), ("date",)),
    (re.compile(r"^\W*(?:where|(?:what|which) (?:city|country|place|town))\b", re.IGNORECASE), ("place",)),
    (
        re.compile(
            r"^\W*(?:how much (?:is|are|does|do|did|will|would)|what (?:price|does .{1,40} cost))\b", re.IGNORECASE
        ),
        ("amount",),
    ),
)


class AnswerOptions(Options):
    """`question`; the text is searched for it, or with `collection` the organisation's documents ("*" for all)."""

    question: str = Field(min_length=1, max_length=1_000)
    collection: str = Field(default="", max_length=60)
    min_score: float = Field(default=MIN_SCORE, ge=-1, le=1)


def model_of(options: AnswerOptions) -> str:
    """Return the name of the encoder that finds the answer."""
    return default_model("embedding").name


def run(call: Call, texts: Sequence[str], options: AnswerOptions) -> list[Outcome]:
    """Return `{"answer", "start", "end", "score", "sentence", "found"}` for each text.

    `answer` is a piece of the text, word for word: the thing that the question asks for where it is plain (a person, a
    date, a place, an amount), or else the sentences that answer. When the text does not say, `found` is false and
    `answer` None. With a collection, one result per text, with `source` and places in the passage's text.
    """
    outcomes: list[Outcome] = []
    for text in texts:
        if options.collection:
            outcomes.append(_from_collection(call, options))
        else:
            outcomes.append(_best(call, [text], options)[0])
    return outcomes


def _from_collection(call: Call, options: AnswerOptions) -> dict[str, Any]:
    found = passages_search(
        tenant_id=call.tenant_id,
        query=options.question,
        k=_PASSAGES,
        collections=None if options.collection == "*" else [options.collection],
    )
    result, index = _best(call, [one.text for one in found.passages], options)
    return result | {"source": None if index is None else _source(found.passages[index])}


def _best(call: Call, texts: Sequence[str], options: AnswerOptions) -> tuple[dict[str, Any], int | None]:
    """Return the result and the index of the text that it is from."""
    places = [(i, a, b) for i, text in enumerate(texts) for a, b in sentences_of(text)][:_MAX_SENTENCES]
    nothing = {"answer": None, "start": None, "end": None, "score": 0.0, "sentence": None, "found": False}
    if not places:
        return nothing, None
    sentences = [texts[i][a:b] for i, a, b in places]
    scores = _scores(call, options.question, sentences)
    nearest = [int(index) for index in np.argsort(-scores, kind="stable")[:_BEST]]
    things = _things(call, options.question, [sentences[index] for index in nearest])
    ranked = [
        (scores[index] + (_KIND if found else 0.0), -rank, index, found)
        for rank, (index, found) in enumerate(zip(nearest, things, strict=True))
    ]
    score, _, index, found = max(ranked, key=lambda one: one[:2])
    shown = round(min(1.0, float(score)), 4)
    if shown < options.min_score:
        return nothing | {"score": shown}, None
    where, begin, _ = places[index]
    start, end = found[0] if found else (0, len(sentences[index]))
    result = {
        "answer": sentences[index][start:end],
        "start": begin + start,
        "end": begin + end,
        "score": shown,
        "sentence": sentences[index],
        "found": True,
    }
    return result, where


def _scores(call: Call, question: str, sentences: Sequence[str]) -> Any:
    """Return for each sentence how near it is to the question, by meaning and by its words: float (n,)."""
    vectors = vectors_of(call, [question, *sentences])
    wanted = frozenset(content_terms(question))
    shared = np.array([len(wanted & term_set(one)) / max(1, len(wanted)) for one in sentences], dtype=np.float32)
    return _COSINE * (vectors[1:] @ vectors[0]) + _WORDS * shared


def _things(call: Call, question: str, sentences: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Return for each sentence the places of the kind of thing that the question asks for; none for other questions."""
    kinds = next((kinds for pattern, kinds in _ASKS if pattern.search(question)), ())
    if not kinds:
        return [[] for _ in sentences]
    asked = question.lower()
    return [
        [(one["start"], one["end"]) for one in outcome["entities"] if one["text"].lower() not in asked]
        if isinstance(outcome, dict)
        else []
        for outcome in entities_run(call, sentences, EntitiesOptions(types=list(kinds)))
    ]


def _source(passage: Passage) -> dict[str, Any]:
    return {
        "document": passage.document,
        "source": passage.source,
        "heading": passage.heading,
        "anchor": passage.anchor,
        "url": passage.url,
    }
