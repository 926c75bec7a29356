"""Finding passages by their words among many, below row-level security. Starts a database of its own.

    python -m bench.passages --rows 100000

Writes passages of five organisations of very different sizes, of words that are as unequally frequent as those of a
language, and times the statements of a search for the largest organisation and for the smallest: as they are, and by the
match of a tsvector, for which the index of the first version is made again. Vectors are left out.
"""

from __future__ import annotations

import argparse
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg

from bench.conversations import SHARES, TENANTS, milliseconds, prepare

WORDS_EACH = 60
VOCABULARY = 40_000
PASSAGES_EACH = 6
# Of the vocabulary, by rank: what everybody says, what many say, and what few say.
ASKED = {"common": [3, 12, 40], "mixed": [25, 800, 9_000], "rare": [9_000, 21_000, 33_000]}
INDEX = "CREATE INDEX bench_search ON knowledge_chunk USING gin (tenant_id uuid_ops, search tsvector_ops)"
BEFORE = {
    "frequencies": """SELECT w.term, (SELECT count(*) FROM knowledge_chunk c WHERE c.tenant_id = %(tenant)s
        AND c.search @@ ('''' || w.term || '''')::tsquery) FROM unnest(%(terms)s::text[]) AS w(term)""",
    "candidates": """SELECT c.id FROM knowledge_chunk c WHERE c.tenant_id = %(tenant)s AND c.search @@ %(any)s::tsquery
        ORDER BY ts_rank_cd(c.search, %(any)s::tsquery, 1) DESC, c.id LIMIT 48""",
}


def word(rank: int) -> str:
    """Return a word of letters for a rank."""
    letters = ""
    while True:
        rank, left = divmod(rank, 20)
        letters += "bcdfghjklmnpqrstvwxz"[left] + "aeiou"[left % 5]
        if not rank:
            return letters + "q"


def passages(rows: int) -> Iterator[tuple[uuid.UUID, int, list[int]]]:
    """Yield the organisation, the number and the words (ranks) of each passage."""
    dice = np.random.default_rng(1)
    shares = np.repeat(np.arange(len(SHARES)), SHARES)
    weights = 1 / (np.arange(VOCABULARY) + 2.7)
    weights /= weights.sum()
    for begin in range(0, rows, 2_000):
        said = dice.choice(VOCABULARY, size=(2_000, WORDS_EACH), p=weights)
        for number, ranks in enumerate(said[: rows - begin], start=begin):
            yield TENANTS[shares[number // PASSAGES_EACH % 100]], number, ranks.tolist()


def write(server: psycopg.Connection[Any], rows: int) -> None:
    """Write sources, documents and passages; the database writes the words."""
    columns = "id, tenant_id, document_id, source_id, collection, ordinal, heading, anchor, text, text_sha256, "
    columns += "embed_sha256, embedding, term_count, search_text"
    nothing = "[" + ",".join(["0.05"] * 384) + "]"
    server.execute("CREATE TEMP TABLE bench_passage (LIKE knowledge_chunk)")
    with server.cursor().copy(f"COPY bench_passage ({columns}) FROM STDIN") as copy:
        for tenant, number, ranks in passages(rows):
            key, document = uuid.UUID(int=(1 << 100) + number), uuid.UUID(int=(2 << 100) + number // PASSAGES_EACH)
            places: dict[str, list[str]] = {}
            for place, rank in enumerate(ranks):
                places.setdefault(word(rank), []).append(str(place + 1))
            literal = " ".join(f"'{name}':{','.join(at)}" for name, at in places.items())
            text = " ".join(map(word, ranks))
            row = [key, tenant, document, document, "default", number % PASSAGES_EACH, "", "", text, "", "", nothing]
            copy.write_row([*row, len(ranks), literal])
    # Keys are not what is measured, words are.
    server.execute("ALTER TABLE knowledge_chunk ENABLE ALWAYS TRIGGER knowledge_chunk_terms_add")
    server.execute(f"INSERT INTO knowledge_chunk ({columns}) SELECT {columns} FROM bench_passage")
    server.execute(
        "INSERT INTO knowledge_document (id, tenant_id, source_id, name, name_sha256, url, title, format, flags, "
        "chunk_count, term_count, updated_at) SELECT document_id, tenant_id, document_id, 'a', 'a', '', 'a', 'text', "
        "'[]', count(*), sum(term_count), now() FROM knowledge_chunk GROUP BY 1, 2, 3"
    )
    server.execute("VACUUM ANALYZE knowledge_chunk, knowledge_chunkterm, knowledge_document")
    print("written", flush=True)


def measure(tenant: uuid.UUID, ranks: list[int]) -> dict[str, tuple[float, Any]]:
    """Return milliseconds and what was found, for each statement of before and of now."""
    from django.db import connection

    from apps.core.tenancy import tenant_scope
    from apps.knowledge.lexis import tsquery_literal
    from apps.knowledge.selectors import search

    terms = [word(rank) for rank in ranks]
    asked: dict[str, Any] = {"tenant": tenant, "terms": terms, "lexical_limit": 48}

    def ask(statement: str, given: dict[str, Any]) -> Any:
        with tenant_scope(tenant), connection.cursor() as cursor:
            cursor.execute(statement, given)
            return cursor.fetchall()

    found: dict[str, tuple[float, Any]] = {}
    frequency = dict(ask(search._FREQUENCIES, asked))
    rare = search._rare_terms(frequency)
    asked |= {"rare": rare, "any": tsquery_literal(rare)}
    now = {"frequencies": search._FREQUENCIES, "candidates": search._WORDS.format(collections="")}
    for name, statement in now.items():
        for when, chosen in (("before", BEFORE[name]), ("now", statement)):
            took, _ = milliseconds(lambda chosen=chosen: ask(chosen, asked), times=5)
            found[f"{name} {when}"] = took, sorted(map(str, ask(chosen, asked)))
    return found


TYPOS_BEFORE = """
SELECT c.id, w.term FROM unnest(%(unknown)s::text[]) AS w(term)
CROSS JOIN LATERAL (SELECT c.id FROM knowledge_chunk c WHERE c.tenant_id = %(tenant)s AND w.term <%% c.text LIMIT 8) AS c
"""


def misspelt(tenant: uuid.UUID) -> tuple[float, float, list[tuple[int, int]]]:
    """Return milliseconds of looking for misspelt words: each in all passages, as before, and among the distinct words; and
    how many passages are found for each of them before and now."""
    from django.db import connection

    from apps.core.tenancy import tenant_scope
    from apps.knowledge.selectors import search

    # Rare words with another letter near their end, and one that resembles nothing.
    words = [f"{name[:-2]}y{name[-1]}" for name in map(word, (9_007, 21_003, 33_011))] + ["ymxkcdvx"]
    asked: dict[str, Any] = {"tenant": tenant, "space": "", "vector": None, "unknown": words}

    def before() -> Any:
        with tenant_scope(tenant), connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('pg_trgm.word_similarity_threshold', %s, true)", [str(search.TYPO_SIMILARITY)]
            )
            cursor.execute(TYPOS_BEFORE, asked)
            return cursor.fetchall()

    def now() -> dict[Any, dict[str, int]]:
        with tenant_scope(tenant), connection.cursor() as cursor:
            return search._typos(cursor, asked, dict.fromkeys(words, 0), "")

    found = now()
    known = [name for _, name in before()]
    counts = [(known.count(name), sum(name in said for said in found.values())) for name in words]
    return milliseconds(before, times=1)[0], milliseconds(now, times=5)[0], counts


def main() -> int:
    """Write, measure, print; the status is 1 where both ways do not find the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    server = prepare()
    write(server, options.rows)
    server.execute(INDEX)
    server.execute("ANALYZE knowledge_chunk")
    sizes = server.execute(
        "SELECT pg_total_relation_size('knowledge_chunk') / 1000000, pg_total_relation_size('knowledge_chunkterm') / "
        "1000000, (SELECT count(*) FROM knowledge_chunkterm)"
    ).fetchone()
    print(f"{options.rows} passages: {sizes[0]} MB; {sizes[2]} words of passages: {sizes[1]} MB", flush=True)
    same = True
    for tenant, share in ((TENANTS[0], SHARES[0]), (TENANTS[-1], SHARES[-1])):
        for name, ranks in ASKED.items():
            found = measure(tenant, ranks)
            line = "  ".join(f"{key} {took:.1f} ms" for key, (took, _) in found.items())
            equal = all(found[f"{key} before"][1] == found[f"{key} now"][1] for key in BEFORE)
            same &= equal
            print(f"{share:>3} % {name:<7} {line}  {'the same' if equal else 'DIFFERENT'}", flush=True)
        before, now, counts = misspelt(tenant)
        print(f"{share:>3} % misspelt before {before:.0f} ms  now {now:.1f} ms  found {counts}", flush=True)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
