"""Hybrid retrieval: candidates from vectors and from words, one score over both (ranking.py)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from django.db import connection

from apps.core.errors import Invalid
from apps.core.tenancy import connection_release, tenant_scope
from apps.inference.services import PASSAGES, embed_texts, space_model, space_serving
from apps.knowledge.lexis import query_terms, tsquery_literal
from apps.knowledge.links import PassageRef, passage_url
from apps.knowledge.ranking import DEFAULT_RANK_RULES, Candidate, CorpusStats, RankRules, rank
from apps.knowledge.types import Passage, SearchResult

MAX_QUERY_CHARS = 2000
MAX_RESULTS = 50
VECTOR_CANDIDATES = 64
LEXICAL_CANDIDATES = 48
RARE_MATCHES = 3000
"""Passages that lexical candidates are picked from: the rarest terms whose passages together stay under this."""
TYPO_SIMILARITY = 0.55
TYPO_MIN_CHARS = 6
"""Shorter words resemble too many others: three trigrams make `shoe` and `show` alike."""
TYPO_WORDS = 4
"""Unknown words of a query that are looked for, and words that each is taken for."""
VOCABULARY = 20_000
"""Distinct words that one is compared with: those of its first letter, a twentieth of an organisation's. 20 us each."""

_STATS = """
SELECT coalesce(sum(chunk_count), 0), coalesce(sum(term_count), 0) FROM knowledge_document WHERE tenant_id = %(tenant)s
"""
_FREQUENCIES = """
SELECT w.term, (SELECT count(*) FROM knowledge_chunkterm t WHERE t.tenant_id = %(tenant)s AND t.term = w.term)
FROM unnest(%(terms)s::text[]) AS w(term)
"""
_NEAREST = """
SELECT v.chunk_id FROM knowledge_chunkvector v
WHERE v.tenant_id = %(tenant)s AND v.space = %(space)s {collections}
ORDER BY v.embedding <=> %(vector)s::vector LIMIT %(vector_limit)s
"""
_WORDS = """
SELECT c.id FROM knowledge_chunk c WHERE c.tenant_id = %(tenant)s {collections} AND c.id IN (
  SELECT t.chunk_id FROM knowledge_chunkterm t WHERE t.tenant_id = %(tenant)s AND t.term = ANY(%(rare)s::text[]))
ORDER BY ts_rank_cd(c.search, %(any)s::tsquery, 1) DESC, c.id LIMIT %(lexical_limit)s
"""
# The distinct words that begin with the same letter, one after the other by the index, and the likest of them. A locale may
# sort accented letters between the plain ones: they do not end the walk.
_ALIKE = """
WITH RECURSIVE said(term, n) AS (
  (SELECT t.term, 1 FROM knowledge_chunkterm t WHERE t.tenant_id = %(tenant)s AND t.term >= %(letter)s
   ORDER BY t.term LIMIT 1)
  UNION ALL
  SELECT (SELECT t.term FROM knowledge_chunkterm t WHERE t.tenant_id = %(tenant)s AND t.term > said.term
          ORDER BY t.term LIMIT 1), said.n + 1
  FROM said WHERE said.n < %(most)s AND (left(said.term, 1) = %(letter)s OR ascii(said.term) > 126)
)
SELECT term FROM (SELECT said.term, word_similarity(%(word)s, said.term) AS likeness FROM said
                  WHERE left(said.term, 1) = %(letter)s) AS found
WHERE likeness >= %(least)s ORDER BY likeness DESC, term LIMIT %(words)s
"""
_TYPOS = """
SELECT c.id FROM (SELECT t.chunk_id FROM knowledge_chunkterm t WHERE t.tenant_id = %(tenant)s
                  AND t.term = ANY(%(alike)s::text[]) LIMIT %(matches)s) AS near
JOIN knowledge_chunk c ON c.tenant_id = %(tenant)s AND c.id = near.chunk_id {collections}
LEFT JOIN knowledge_chunkvector v ON v.tenant_id = c.tenant_id AND v.chunk_id = c.id AND v.space = %(space)s
ORDER BY v.embedding <=> %(vector)s::vector, c.id LIMIT 8
"""
_DETAILS = """
SELECT c.id, c.document_id, c.source_id, d.title, d.name, d.url, c.heading, c.anchor, c.text, c.ordinal, c.text_sha256,
       c.term_count, d.chunk_count, coalesce(1 - (v.embedding <=> %(vector)s::vector), 0),
       (SELECT coalesce(jsonb_object_agg(l.lexeme, cardinality(l.positions)), '{{}}'::jsonb)
          FROM unnest(c.search) AS l WHERE l.lexeme = ANY(%(terms)s::text[]))
FROM knowledge_chunk c JOIN knowledge_document d ON d.tenant_id = c.tenant_id AND d.id = c.document_id
LEFT JOIN knowledge_chunkvector v ON v.tenant_id = c.tenant_id AND v.chunk_id = c.id AND v.space = %(space)s
WHERE c.tenant_id = %(tenant)s AND c.id = ANY(%(ids)s::uuid[])
"""


def passages_search(
    *,
    tenant_id: uuid.UUID,
    query: str,
    k: int = 8,
    collections: Sequence[str] | None = None,
    rules: RankRules = DEFAULT_RANK_RULES,
) -> SearchResult:
    """Return the `k` best passages for `query`, best first, of the given collections or of all.

    The query is read by the encoder of the space that serves. Where the catalogue does not list that any more the search
    goes by words alone, and says so: `mode` is "words", and every cosine is 0.

    Limits:  k from 1 to 50; a query of at most 2,000 characters, of which the encoder reads its 256 word pieces.
    Errors:  Invalid (query_missing, k_invalid); Busy, Unavailable, DeadlineExceeded of the embedding.
    """
    query = " ".join(query.replace("\x00", " ").split())[:MAX_QUERY_CHARS]
    if not query:
        raise Invalid("The query is empty.", code="query_missing")
    if not 1 <= k <= MAX_RESULTS:
        raise Invalid(f"k must be from 1 to {MAX_RESULTS}.", code="k_invalid")
    words = query_terms(query)
    parameters: dict[str, Any] = {
        "tenant": tenant_id,
        "terms": words,
        "collections": list(collections) if collections is not None else None,
        "vector_limit": max(VECTOR_CANDIDATES, 2 * k),
        "lexical_limit": max(LEXICAL_CANDIDATES, 2 * k),
    }
    space = space_serving(tenant_id=tenant_id, holder=PASSAGES)
    while True:
        parameters |= {"space": space, "vector": _query_vector(tenant_id, query, space)}
        with tenant_scope(tenant_id):
            now_serving = space_serving(tenant_id=tenant_id, holder=PASSAGES)
            if now_serving == space:
                rows, stats = _candidates(parameters)
                break
        # Another space has taken over while the query was read: its vectors do not compare with ours.
        space = now_serving
    ranked = rank([_candidate(row) for row in rows], words, stats, rules, k=k)
    by_id = {row[0]: row for row in rows}
    passages = tuple(
        _passage(tenant_id, by_id[item.key], item.score, item.cosine, item.lexical)  # type: ignore[index]
        for item in ranked
    )
    return SearchResult(passages, tuple(words), "meaning" if parameters["vector"] else "words")


def _query_vector(tenant_id: uuid.UUID, query: str, space: str) -> str | None:
    """Return the query's vector in `space` as a literal, or None where its encoder is not in the catalogue."""
    model = space_model(space)
    if model is None:
        return None
    # Before the scope: no database connection is held while the model works.
    connection_release()
    vector = embed_texts([query], tenant_id=tenant_id, model=model.name).vectors[0]
    return "[" + ",".join(f"{value:.7g}" for value in vector.tolist()) + "]"


def _candidates(parameters: dict[str, Any]) -> tuple[list[tuple[Any, ...]], CorpusStats]:
    """Return the rows of all candidates and the statistics of the organisation's passages."""
    limited = parameters["collections"] is not None
    within = "AND c.collection = ANY(%(collections)s::text[])" if limited else ""
    with connection.cursor() as cursor:
        cursor.execute(_STATS, parameters)
        passages, term_total = cursor.fetchone()
        if not passages:
            return [], CorpusStats(0, 0.0, {})
        frequency = _frequencies(cursor, parameters)
        ids: set[uuid.UUID] = set()
        if parameters["vector"]:
            cursor.execute(_NEAREST.format(collections=within.replace("c.", "v.")), parameters)
            ids = {row[0] for row in cursor.fetchall()}
        rare = _rare_terms(frequency)
        if rare:
            parameters |= {"rare": rare, "any": tsquery_literal(list(frequency))}
            cursor.execute(_WORDS.format(collections=within), parameters)
            ids.update(row[0] for row in cursor.fetchall())
        typos = _typos(cursor, parameters, frequency, within)
        ids.update(typos)
        cursor.execute(_DETAILS.format(), parameters | {"ids": list(ids)})
        rows = [(*row[:14], {**json.loads(row[14]), **typos.get(row[0], {})}) for row in cursor.fetchall()]
    return rows, CorpusStats(int(passages), float(term_total) / int(passages), frequency)


def _frequencies(cursor: Any, parameters: dict[str, Any]) -> dict[str, int]:
    cursor.execute(_FREQUENCIES, parameters)
    return dict(cursor.fetchall())


def _rare_terms(frequency: dict[str, int]) -> list[str]:
    """The terms that tell most, as many as keep the passages to be ranked under a bound; at least one."""
    chosen: list[str] = []
    matches = 0
    for term, count in sorted(((t, c) for t, c in frequency.items() if c), key=lambda pair: pair[1]):
        if chosen and matches + count > RARE_MATCHES:
            break
        chosen.append(term)
        matches += count
    return chosen


def _typos(
    cursor: Any, parameters: dict[str, Any], frequency: dict[str, int], within: str
) -> dict[uuid.UUID, dict[str, int]]:
    """Passages with a word much like one that occurs nowhere (trigrams), counted as if it occurred once.

    It is compared with the organisation's distinct words of the same first letter, not with passages: "is like" leaks in
    PostgreSQL's eyes, so below row-level security no index answers it, and there are far fewer words than passages.
    `frequency` is updated, so that such a word weighs like the one it is taken for.
    """
    # Figures are no words: article 4444 is not 4440 with a typo.
    unknown = [
        term
        for term, count in frequency.items()
        if not count and len(term) >= TYPO_MIN_CHARS and sum(map(str.isdigit, term)) < 2
    ]
    found: dict[uuid.UUID, dict[str, int]] = {}
    for word in unknown[:TYPO_WORDS]:
        alike = {"word": word, "letter": word[0], "most": VOCABULARY, "least": TYPO_SIMILARITY, "words": TYPO_WORDS}
        cursor.execute(_ALIKE, parameters | alike)
        known = [term for (term,) in cursor.fetchall()]
        if not known:
            continue
        cursor.execute(_TYPOS.format(collections=within), parameters | {"alike": known, "matches": RARE_MATCHES})
        for (chunk_id,) in cursor.fetchall():
            found.setdefault(chunk_id, {})[word] = 1
            frequency[word] += 1
    return found


def _candidate(row: tuple[Any, ...]) -> Candidate:
    return Candidate(
        key=row[0],
        cosine=float(row[13]),
        counts=row[14],
        length=row[11],
        # A text without headings has no sections: what is asked for may stand anywhere in it.
        section=(row[1], row[7] or row[6]) if row[7] or row[6] not in ("", row[3]) else None,
        content=row[10],
        breadth=row[12],
    )


def _passage(tenant_id: uuid.UUID, row: tuple[Any, ...], score: float, cosine: float, lexical: float) -> Passage:
    chunk_id, document_id, source_id, title, name, url, heading, anchor, text, ordinal, digest, *_ = row
    if url:
        link = f"{url}#{quote(anchor, safe='-._~!$&()*+,;=:@/?')}" if anchor else url
    else:
        link = passage_url(PassageRef(tenant_id, document_id, ordinal, digest))
    return Passage(
        chunk_id=chunk_id,
        document_id=document_id,
        source_id=source_id,
        document=title,
        source=name,
        title=title,
        heading=heading,
        anchor=anchor,
        url=link,
        text=text,
        score=score,
        cosine=cosine,
        lexical=lexical,
    )
