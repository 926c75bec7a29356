"""The score of a passage: cosine of the embeddings plus a little of a normalised lexical score. Pure, no Django.

    score = cosine + lexical_weight * lexical,     lexical = BM25 / (BM25 of a passage that says every term often)

The lexical part lies in 0..1 and does not depend on the other candidates, so scores of different questions compare and
thresholds hold. Measured reason for this form: reciprocal-rank fusion was worse than vectors alone, a small lexical
share better than either.

Tuning offline needs no database:

    passages = [Candidate(key=i, cosine=float(q @ v[i]), counts=Counter(terms(heading + " " + text)), length=..., ...)]
    stats = corpus_stats([(c.counts, c.length) for c in passages])
    rank(passages, query_terms(question), stats, RankRules(lexical_weight=0.1), k=5)

with `terms` and `query_terms` from lexis.py, the analyser that the index uses. Ranking every passage this way gives
what the database path gives, as long as the candidates it unites (nearest vectors, rarest terms) hold the best ones.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RankRules:
    """Weights. `k1` and `b` are BM25's; `per_section` bounds the passages of one section among the results."""

    lexical_weight: float = 0.35
    k1: float = 1.2
    b: float = 0.4
    per_section: int = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that may be an answer.

    `counts` says how often terms occur in it (headings included; terms outside the query are ignored), `length` its
    terms in all, `section` which passages are neighbours, `content` which are the same text in another document.
    """

    key: Hashable
    cosine: float
    counts: Mapping[str, int]
    length: int
    section: Hashable = None
    content: Hashable = None


@dataclass(frozen=True, slots=True)
class CorpusStats:
    """What is known of the whole collection: passages, their mean length, in how many of them a term occurs."""

    passages: int
    mean_length: float
    frequency: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Ranked:
    key: Hashable
    score: float
    cosine: float
    lexical: float


DEFAULT_RANK_RULES = RankRules()


def corpus_stats(passages: Iterable[tuple[Mapping[str, int], int]]) -> CorpusStats:
    """Return the statistics of (counts, length) pairs."""
    frequency: Counter[str] = Counter()
    total = count = 0
    for counts, length in passages:
        frequency.update(counts.keys())
        total += length
        count += 1
    return CorpusStats(count, total / count if count else 0.0, frequency)


def term_weight(term: str, stats: CorpusStats) -> float:
    """Return BM25's inverse document frequency, which is never negative in this form."""
    found = min(stats.frequency.get(term, 0), stats.passages)
    return math.log(1 + (stats.passages - found + 0.5) / (found + 0.5))


def lexical_score(candidate: Candidate, words: Sequence[str], stats: CorpusStats, rules: RankRules) -> float:
    """Return BM25 of the candidate over its upper bound for this query, in 0..1.

    A term that occurs nowhere counts in the bound: a question about unknown things scores low everywhere.
    Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009).
    """
    weights = {word: term_weight(word, stats) for word in words}
    bound = sum(weights.values()) * (rules.k1 + 1)
    if bound <= 0:
        return 0.0
    relative = candidate.length / stats.mean_length if stats.mean_length else 1.0
    damping = rules.k1 * (1 - rules.b + rules.b * relative)
    total = 0.0
    for word, weight in weights.items():
        count = candidate.counts.get(word, 0)
        if count:
            total += weight * count * (rules.k1 + 1) / (count + damping)
    return min(1.0, total / bound)


def rank(
    candidates: Iterable[Candidate],
    words: Sequence[str],
    stats: CorpusStats,
    rules: RankRules = DEFAULT_RANK_RULES,
    *,
    k: int = 8,
) -> list[Ranked]:
    """Return the best `k` candidates, best first.

    Of passages with the same content only the best stays, of one section at most `per_section`.
    """
    scored = []
    for candidate in candidates:
        lexical = lexical_score(candidate, words, stats, rules)
        scored.append((candidate.cosine + rules.lexical_weight * lexical, lexical, candidate))
    scored.sort(key=lambda item: item[0], reverse=True)
    results: list[Ranked] = []
    contents: set[Hashable] = set()
    sections: defaultdict[Hashable, int] = defaultdict(int)
    for score, lexical, candidate in scored:
        if len(results) == k:
            break
        if candidate.content is not None and candidate.content in contents:
            continue
        if candidate.section is not None and sections[candidate.section] >= rules.per_section:
            continue
        contents.add(candidate.content)
        sections[candidate.section] += 1
        results.append(Ranked(candidate.key, score, candidate.cosine, lexical))
    return results
