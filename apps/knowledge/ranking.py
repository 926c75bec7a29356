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
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RankRules:
    """Weights. `k1` and `b` are BM25's; `per_section` bounds the passages of one section among the results."""

    lexical_weight: float = 0.35
    k1: float = 1.2
    b: float = 0.4
    per_section: int = 1
    same_content_slack: float = 0.1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that may be an answer.

    `counts` says how often terms occur in it (headings included; terms outside the query are ignored), `length` its
    terms in all, `section` which passages are neighbours, `content` which are the same text in another document,
    `breadth` how many passages its document has.
    """

    key: Hashable
    cosine: float
    counts: Mapping[str, int]
    length: int
    section: Hashable = None
    content: Hashable = None
    breadth: int = 0


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

    Of passages with the same content one stays: of those nearly as good as the best, the one of the shortest document,
    since a chapter says where better than the whole book on one page. Of one section at most `per_section` stay.
    """
    scored = [_scored(candidate, words, stats, rules) for candidate in candidates]
    results: list[Ranked] = []
    sections: defaultdict[Hashable, int] = defaultdict(int)
    for item, candidate in sorted(_distinct(scored, rules), key=lambda pair: pair[0].score, reverse=True):
        if len(results) == k:
            break
        if candidate.section is not None and sections[candidate.section] >= rules.per_section:
            continue
        sections[candidate.section] += 1
        results.append(item)
    return results


_Pair = tuple[Ranked, Candidate]


def _scored(candidate: Candidate, words: Sequence[str], stats: CorpusStats, rules: RankRules) -> _Pair:
    lexical = lexical_score(candidate, words, stats, rules)
    score = candidate.cosine + rules.lexical_weight * lexical
    return Ranked(candidate.key, score, candidate.cosine, lexical), candidate


def _distinct(scored: Sequence[_Pair], rules: RankRules) -> Iterator[_Pair]:
    """Yield one pair of each content, and all whose content is not known."""
    groups: defaultdict[Hashable, list[_Pair]] = defaultdict(list)
    for pair in scored:
        groups[pair[1].key if pair[1].content is None else ("same", pair[1].content)].append(pair)
    for group in groups.values():
        best = max(pair[0].score for pair in group)
        near = [pair for pair in group if pair[0].score >= best - rules.same_content_slack]
        yield min(near, key=lambda pair: (pair[1].breadth, -pair[0].score))
