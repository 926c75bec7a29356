"""The phrases that a text is about."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from apps.core.chinese import segmenter
from apps.inference.services import default_model
from apps.nlp.services.grounding.text import Token, is_stopword, tokens
from apps.nlp.services.heads import vectors_of
from apps.translation.types import Call, Options, Outcome

_MAX_WORDS = 4
_CANDIDATES = 40
# What the document's vector is made of: its beginning says what it is about.
_DOCUMENT_CHARS = 1_200
_READ_CHARS = 50_000
# How much a phrase may look like one that was chosen.
_DIVERSITY = 0.4
_CJK = re.compile(r"[\u3400-\u9fff\u3040-\u30ff]")
_BREAK = re.compile(r"[^\w'’-]")


class KeywordsOptions(Options):
    """`count` phrases at most; `max_words` of one."""

    count: int = Field(default=10, ge=1, le=50)
    max_words: int = Field(default=3, ge=1, le=_MAX_WORDS)


def model_of(options: KeywordsOptions) -> str:
    """Return the name of the encoder that ranks the phrases."""
    return default_model("embedding").name


def run(call: Call, texts: Sequence[str], options: KeywordsOptions) -> list[Outcome]:
    """Return `{"keywords": [{"text", "score", "count"}]}` for each text, best first; scores are in 0..1.

    Method: runs of words without stop words, ranked by how often their words occur and stand with others (as in Rose et
            al., "RAKE", 2010); the best 40 then by the cosine of phrase and text, and unlikeness to those chosen
            (Carbonell and Goldstein, "MMR", 1998).
    """
    candidates = [candidates_of(text[:_READ_CHARS], options.max_words) for text in texts]
    wanted = [phrase for row in candidates for phrase, _, _ in row]
    vectors = vectors_of(call, [*(text[:_DOCUMENT_CHARS] for text in texts), *wanted])
    outcomes: list[Outcome] = []
    begin = len(texts)
    for index, row in enumerate(candidates):
        own = vectors[begin : begin + len(row)]
        begin += len(row)
        outcomes.append({"keywords": _chosen(row, own, vectors[index], options.count)})
    return outcomes


def candidates_of(text: str, max_words: int) -> list[tuple[str, float, int]]:
    """Return up to 40 phrases with their weight (0..1) and how often they occur."""
    runs = _runs(text)
    degree: Counter[str] = Counter()
    frequency: Counter[str] = Counter()
    for row in runs:
        for word in row:
            frequency[word.lower()] += 1
            degree[word.lower()] += min(len(row), max_words)
    phrases: Counter[str] = Counter()
    shown: dict[str, str] = {}
    for row in runs:
        for size in range(1, min(max_words, len(row)) + 1):
            for start in range(len(row) - size + 1):
                words = row[start : start + size]
                key = " ".join(words).lower()
                phrases[key] += 1
                shown.setdefault(key, " ".join(words))
    weights = {
        key: count * sum(degree[word] / frequency[word] for word in key.split(" ")) / len(key.split(" ")) ** 0.5
        for key, count in phrases.items()
        # A longer phrase that occurs once is worth less than its words unless they always stand together.
        if count > 1 or len(key.split(" ")) <= 2 or len(runs) < 30
    }
    best = sorted(weights, key=lambda key: (-weights[key], key))[:_CANDIDATES]
    top = max((weights[key] for key in best), default=1.0)
    return [(shown[key], weights[key] / top, phrases[key]) for key in best]


def _runs(text: str) -> list[list[str]]:
    """Return the runs of content words, as they are written."""
    if _CJK.search(text):
        # No spaces there: each word by itself, and no phrases.
        return [[word] for word in segmenter().cut(text) if len(word) > 1 and any(c.isalpha() for c in word)]
    runs: list[list[str]] = [[]]
    end = 0
    for token in tokens(text):
        if _BREAK.search(text[end : token.start].strip(" ")) or _empty(token):
            runs.append([])
        if not _empty(token):
            runs[-1].append(text[token.start : token.end])
        end = token.end
    return [row for row in runs if row]


def _empty(token: Token) -> bool:
    return is_stopword(token) or len(token.raw) < 2 or token.raw.isdigit()


def _chosen(row: Sequence[tuple[str, float, int]], vectors: Any, document: Any, count: int) -> list[dict[str, Any]]:
    scores = [
        0.7 * max(0.0, float(vector @ document)) + 0.3 * weight
        for vector, (_, weight, _) in zip(vectors, row, strict=True)
    ]
    left = list(range(len(row)))
    picked: list[int] = []
    while left and len(picked) < count:
        chosen = vectors[picked]
        best = max(left, key=lambda i: scores[i] - _DIVERSITY * float((chosen @ vectors[i]).max(initial=0.0)))
        picked.append(best)
        # A phrase within a chosen one, or around it, says it twice.
        said = row[best][0].lower()
        left = [i for i in left if row[i][0].lower() not in said and said not in row[i][0].lower()]
    picked.sort(key=lambda i: -scores[i])
    return [{"text": row[i][0], "score": round(scores[i], 4), "count": row[i][2]} for i in picked]
