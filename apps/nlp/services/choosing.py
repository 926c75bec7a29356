"""Which sentences of a text say what it is about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_DAMPING = 0.85
_STEPS = 30
# A heading or a fragment is central, too, and says nothing.
_FULL_WORDS = 8
# What leans on a sentence before it: out of its place nobody knows who "they" are.
_LEANING = re.compile(
    r"^\W*(?:it|its|they|them|their|these|those|he|she|his|her|this is|that is|such|also|however|but|and|or|so|then|thus"
    r"|therefore|moreover|furthermore|in addition|additionally|otherwise|for (?:example|instance)|note)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Weights:
    """What makes a sentence worth taking: shares of 1 for its place (`lead`) and for its being central, the rest.

    `leaning` is what a sentence keeps that leans on the one before it; two sentences with a cosine above `same` say the
    same.
    """

    lead: float
    leaning: float
    same: float


def sentences_choose(sentences: Sequence[str], vectors: Any, wanted: int, *, weights: Weights) -> list[int]:
    """Return the places of at most `wanted` sentences that are unlike each other, in order of the text.

    Shape:  `vectors` float32 (n, dim), unit vectors of the sentences.
    Source: Mihalcea and Tarau, "TextRank", EMNLP 2004, over cosines of sentence vectors; a part of the weight falls from
            the beginning of the text to its end, because texts say first what they are about.
    """
    if not len(sentences):
        return []
    count = len(sentences)
    place = 1 / (1 + np.arange(count))
    scores = _centrality(vectors) * (1 - weights.lead) + weights.lead * place / place.sum()
    scores *= [min(1.0, len(sentence.split()) / _FULL_WORDS) for sentence in sentences]
    scores[1:] *= [weights.leaning if _LEANING.match(sentence) else 1.0 for sentence in sentences[1:]]
    picked: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if len(picked) == wanted:
            break
        if not picked or float((vectors[picked] @ vectors[index]).max()) < weights.same:
            picked.append(int(index))
    return sorted(picked)


def _centrality(vectors: Any) -> Any:
    """Return the stationary weights of a walk between similar sentences: float (n,), sum 1."""
    count = len(vectors)
    near = np.clip(vectors @ vectors.T, 0, None).astype(np.float32)
    np.fill_diagonal(near, 0)
    totals = near.sum(axis=1, keepdims=True)
    steps = np.divide(near, totals, out=np.full_like(near, 1 / count), where=totals > 0)
    weights = np.full(count, 1 / count, dtype=np.float32)
    for _ in range(_STEPS):
        weights = (1 - _DAMPING) / count + _DAMPING * (weights @ steps)
    return weights
