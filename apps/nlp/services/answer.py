"""The answer to a question, out of a text or a collection, or that it is not there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from pydantic import Field

from apps.inference.services import default_model
from apps.knowledge.selectors import passages_search
from apps.knowledge.types import Passage
from apps.nlp.services.entities import EntitiesOptions
from apps.nlp.services.entities import run as entities_run
from apps.nlp.services.grounding.text import content_terms, term_set
from apps.nlp.services.heads import vectors_of
from apps.nlp.services.segments import parts_of, sentences_of
from apps.translation.types import MAX_TEXTS, Call, Options, Outcome

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
    if options.collection:
        # Every text is searched for in the same place.
        return [_from_collection(call, options)] * len(texts)
    return [result for result, _ in _best(call, [_searched([text]) for text in texts], options)]


@dataclass(frozen=True, slots=True)
class _Searched:
    """Sentences that are searched for one answer, each with the index of its text and its place there."""

    sentences: list[str]
    places: list[tuple[int, int]]


def _searched(texts: Sequence[str]) -> _Searched:
    found = [(index, start, end) for index, text in enumerate(texts) for start, end in sentences_of(text)]
    found = found[:_MAX_SENTENCES]
    return _Searched([texts[i][start:end] for i, start, end in found], [(i, start) for i, start, _ in found])


def _from_collection(call: Call, options: AnswerOptions) -> dict[str, Any]:
    found = passages_search(
        tenant_id=call.tenant_id,
        query=options.question,
        k=_PASSAGES,
        collections=None if options.collection == "*" else [options.collection],
    )
    [(result, index)] = _best(call, [_searched([one.text for one in found.passages])], options)
    return result | {"source": None if index is None else _source(found.passages[index])}


def _best(call: Call, rows: Sequence[_Searched], options: AnswerOptions) -> list[tuple[dict[str, Any], int | None]]:
    """Return for each row its result and the index of the text that it is from."""
    scores = [
        one
        for part in parts_of(rows, lambda row: len(row.sentences), _MAX_SENTENCES)
        for one in _scores(call, options.question, part)
    ]
    nearest = [[int(index) for index in np.argsort(-one, kind="stable")[:_BEST]] for one in scores]
    things = iter(
        _things(
            call, options.question, [row.sentences[i] for row, some in zip(rows, nearest, strict=True) for i in some]
        )
    )
    return [
        _picked(row, [(float(score[index]), index, next(things)) for index in some], options.min_score)
        for row, score, some in zip(rows, scores, nearest, strict=True)
    ]


def _picked(
    row: _Searched, ranked: Sequence[tuple[float, int, list[tuple[int, int]]]], min_score: float
) -> tuple[dict[str, Any], int | None]:
    """Return the best of the nearest sentences, given with their scores and the things in them."""
    nothing = {"answer": None, "start": None, "end": None, "score": 0.0, "sentence": None, "found": False}
    if not ranked:
        return nothing, None
    score, index, things = max(
        ((score + _KIND * bool(some), index, some) for score, index, some in ranked), key=itemgetter(0)
    )
    shown = round(min(1.0, score), 4)
    if shown < min_score:
        return nothing | {"score": shown}, None
    where, begin = row.places[index]
    sentence = row.sentences[index]
    start, end = things[0] if things else (0, len(sentence))
    result = {
        "answer": sentence[start:end],
        "start": begin + start,
        "end": begin + end,
        "score": shown,
        "sentence": sentence,
        "found": True,
    }
    return result, where


def _scores(call: Call, question: str, rows: Sequence[_Searched]) -> list[Any]:
    """Return for each sentence of each row how near it is to the question, by meaning and by its words: float (n,)."""
    vectors = vectors_of(call, [question, *(sentence for row in rows for sentence in row.sentences)])
    near = iter(vectors[1:] @ vectors[0])
    wanted = frozenset(content_terms(question))
    return [
        np.array(
            [
                _COSINE * next(near) + _WORDS * len(wanted & term_set(sentence)) / max(1, len(wanted))
                for sentence in row.sentences
            ],
            dtype=np.float32,
        )
        for row in rows
    ]


def _things(call: Call, question: str, sentences: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Return for each sentence the places of the kind of thing that the question asks for; none for other questions."""
    kinds = next((kinds for pattern, kinds in _ASKS if pattern.search(question)), ())
    if not kinds:
        return [[] for _ in sentences]
    asked, options = question.lower(), EntitiesOptions(types=list(kinds))
    outcomes = [
        outcome
        for begin in range(0, len(sentences), MAX_TEXTS)
        for outcome in entities_run(call, sentences[begin : begin + MAX_TEXTS], options)
    ]
    return [
        [(one["start"], one["end"]) for one in outcome["entities"] if one["text"].lower() not in asked]
        if isinstance(outcome, dict)
        else []
        for outcome in outcomes
    ]


def _source(passage: Passage) -> dict[str, Any]:
    return {
        "document": passage.document,
        "source": passage.source,
        "heading": passage.heading,
        "anchor": passage.anchor,
        "url": passage.url,
    }
