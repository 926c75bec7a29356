"""Finding conversations among many: by meaning, and by the filters of the inbox. Starts a database of its own.

    python -m bench.conversations meaning --rows 1000,100000,1000000
    python -m bench.conversations filters --rows 200000
    python -m bench.conversations words --rows 50000

`meaning` writes vectors of messages of five organisations of very different sizes, builds the index and compares what a
search finds with what comparing all of an organisation's messages finds. A vector is a mixture of those of two real
texts and noise, since a million texts would take an hour to embed; queries are phrases that are none of those texts.
`filters` writes conversations and times a page of the list for each filter, and says which index it was read from.
`words` has the product write their terms, and times searches by words, what a message costs more, and how large it all is.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg

import tests.services  # noqa: F401  (starts PostgreSQL and Valkey, and ends them with this process)
from bench.paths import ROOT
from bench.sentences import sentences
from nlpsuite.settings import env
from nlpsuite.settings.parts.database import OWNER_ROLE
from nlpsuite.supervisor.postgres import DATABASE, SUPERUSER

# Hundredths of all rows.
SHARES = (60, 25, 10, 4, 1)
TENANTS = [uuid.UUID(int=number + 1) for number in range(len(SHARES))]
FOUND, LOOKED_AT = 20, 200
INDEX = "analysis_messagevector_hnsw"
SPACE = "encoder@1"


def prepare() -> psycopg.Connection[Any]:
    """Migrate, start Django as the application's role, and return a connection of the superuser."""
    owner = {**os.environ, "DB_ROLE": OWNER_ROLE}
    subprocess.run([sys.executable, "manage.py", "migrate", "-v", "0"], cwd=ROOT, env=owner, check=True)
    import django

    django.setup()
    server = psycopg.connect(
        host=str(env.RUN_DIR / "pg"),
        user=SUPERUSER,
        password=env.secrets_read()["pg_superuser"],
        dbname=DATABASE,
        autocommit=True,
    )
    # Rows without those that they point at: keys are not what is measured.
    server.execute("SET session_replication_role = replica")
    return server


def milliseconds(ask: Callable[[], Any], times: int = 9) -> tuple[float, float]:
    """Return median and longest of several calls after a first one."""
    ask()
    took = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took), max(took)


# -- by meaning ------------------------------------------------------------------------------------------------------
_WRITE = """
INSERT INTO analysis_messagevector (id, tenant_id, message_id, conversation_id, space, embedding)
SELECT gen_random_uuid(), tenant, gen_random_uuid(), md5(tenant::text || rows.n / 400)::uuid, %(space)s,
       l2_normalize(base.e + half.e + noise.e)::halfvec
FROM (SELECT n, (%(tenants)s::uuid[])[1 + width_bucket(n %% 100, %(bounds)s::int[])] AS tenant
      FROM generate_series(%(first)s::int, %(last)s::int) AS n) AS rows
JOIN bench_base base ON base.n = (hashint4(rows.n) & 2147483647) %% %(count)s
JOIN bench_half half ON half.n = (hashint4(rows.n + 1000000007) & 2147483647) %% %(count)s
JOIN bench_noise noise ON noise.n = (hashint4(rows.n + 500000003) & 2147483647) %% %(count)s
"""


def real_texts() -> list[str]:
    """Return a few thousand texts: sentences of customers, of the user guide and of Debian's package descriptions."""
    guide = " ".join(path.read_text() for path in sorted((ROOT / "docs" / "guide").glob("*.md")))
    parts = re.split(r"(?<=[.!?])\s+|\n+", guide)
    status = Path("/var/lib/dpkg/status")
    if status.exists():
        parts += re.findall(r"^Description: (.+)$", status.read_text(errors="replace"), re.MULTILINE)
    return sentences("en", 0, 400) + [part for part in dict.fromkeys(parts) if 20 < len(part) < 400]


def vectors_write(server: psycopg.Connection[Any]) -> Any:
    """Write the tables that vectors are mixed from; returns the queries' vectors (n, 384)."""
    import numpy as np
    from sentence_transformers import SentenceTransformer

    from apps.inference.catalogue import MINILM
    from apps.inference.engine.weights import weights_locate
    from apps.nlp.services.intents import SUPPORT_INTENTS

    model = SentenceTransformer(str(weights_locate(MINILM)), device="cpu", local_files_only=True)
    base = model.encode(real_texts(), normalize_embeddings=True, batch_size=64)
    noise = np.random.default_rng(1).normal(size=base.shape)
    noise *= 0.3 / np.linalg.norm(noise, axis=1, keepdims=True)
    for name, rows in (("base", base), ("half", 0.6 * base), ("noise", noise)):
        server.execute(f"CREATE TABLE bench_{name} (n int PRIMARY KEY, e vector(384))")
        with server.cursor().copy(f"COPY bench_{name} FROM STDIN") as copy:
            for number, row in enumerate(rows):
                copy.write_row([number, str(row.tolist())])
    asked = [phrase for some in SUPPORT_INTENTS.values() for phrase in some][:60]
    return model.encode(asked, normalize_embeddings=True).astype(np.float16)


def meaning(server: psycopg.Connection[Any], sizes: Sequence[int]) -> None:
    """Print recall and time for each size and organisation."""
    queries = vectors_write(server)
    (count,) = server.execute("SELECT count(*) FROM bench_base").fetchone() or (0,)
    (definition,) = server.execute("SELECT pg_get_indexdef(%s::regclass)", [INDEX]).fetchone() or ("",)
    print(f"{count} texts, {len(queries)} queries, recall of the {FOUND} nearest, {LOOKED_AT} looked at", flush=True)
    written = 0
    bounds = [sum(SHARES[:number]) for number in range(1, len(SHARES))]
    for size in sizes:
        server.execute(f"DROP INDEX IF EXISTS {INDEX}")
        asked = {
            "tenants": TENANTS,
            "bounds": bounds,
            "count": count,
            "first": written,
            "last": size - 1,
            "space": SPACE,
        }
        server.execute(_WRITE, asked)
        written = size
        began = time.perf_counter()
        server.execute("SET maintenance_work_mem = '4GB'")
        server.execute(definition)
        built = time.perf_counter() - began
        server.execute("VACUUM ANALYZE analysis_messagevector")
        sizes_mb = server.execute(
            "SELECT pg_table_size('analysis_messagevector') / 1000000, pg_relation_size(%s) / 1000000", [INDEX]
        ).fetchone() or (0, 0)
        print(f"{size} rows: index built in {built:.0f} s, table {sizes_mb[0]} MB, index {sizes_mb[1]} MB", flush=True)
        for tenant in TENANTS:
            meaning_of(tenant, queries)


def meaning_of(tenant: uuid.UUID, queries: Any) -> None:
    """Print a line for an organisation: as it is searched, and how long each of the two ways takes."""
    from apps.core.tenancy import tenant_scope
    from apps.insights.models import MessageVector
    from apps.insights.selectors import nearest

    with tenant_scope(tenant):
        rows = MessageVector.objects.count()
    usual = nearest.EXACT_MESSAGES
    took, found = {}, {}
    for way, most in (("as searched", usual), ("exact", 10**9), ("index", 0)):
        nearest.EXACT_MESSAGES = most
        _every(tenant, queries[:5])
        took[way], found[way] = _every(tenant, queries)
    nearest.EXACT_MESSAGES = usual
    recall = {
        way: statistics.mean(len(a & b) / max(1, len(b)) for a, b in zip(some, found["exact"], strict=True))
        for way, some in found.items()
    }
    shown = "  ".join(
        f"{way}: recall {recall[way]:.3f}, median {statistics.median(times):.1f} ms, worst {max(times):.1f} ms"
        for way, times in took.items()
    )
    print(f"  {rows:>8} messages  {shown}", flush=True)


def _every(tenant: uuid.UUID, queries: Any) -> tuple[list[float], list[set[uuid.UUID]]]:
    from apps.insights.selectors.nearest import messages_nearest

    took, found = [], []
    for query in queries:
        began = time.perf_counter()
        rows = messages_nearest(tenant_id=tenant, space=SPACE, vector=query, limit=LOOKED_AT)
        took.append((time.perf_counter() - began) * 1000)
        found.append({row.message_id for row in rows[:FOUND]})
    return took, found


# -- by filters ------------------------------------------------------------------------------------------------------
_CONVERSATIONS = """
INSERT INTO conversations_conversation (id, tenant_id, inbox_id, contact_id, status, handler, subject, locale, labels,
  last_seq, last_public_seq, staff_seen_seq, last_text, last_role, csat_comment, mood, language, intents, assignee_id,
  created_at, updated_at)
SELECT md5('c' || n)::uuid, tenant, md5('i' || tenant)::uuid, md5('p' || n)::uuid,
  CASE WHEN n %% 10 < 2 THEN 'open' ELSE 'resolved' END, CASE WHEN n %% 3 = 0 THEN 'bot' ELSE 'person' END, '', 'en',
  CASE WHEN n %% 9973 = 0 THEN ARRAY['fraud'] WHEN n %% 10 = 3 THEN ARRAY['billing', 'vip'] ELSE ARRAY[]::text[] END,
  4, 4, 4, 'Thank you, that is all I wanted to know about the parcel.', 'contact', '',
  CASE WHEN n %% 9967 = 0 THEN 'positive' WHEN n %% 100 < 15 THEN 'negative' ELSE 'neutral' END,
  CASE WHEN n %% 9949 = 0 THEN 'fi' WHEN n %% 100 < 8 THEN 'pt' ELSE 'en' END,
  CASE WHEN n %% 9941 = 0 THEN ARRAY['complaint'] WHEN n %% 100 < 40 THEN ARRAY['order status']
       ELSE ARRAY[]::text[] END,
  CASE WHEN n %% 3 = 0 OR n %% 9973 = 0 THEN NULL ELSE md5('u' || n %% 40)::uuid END,
  now() - n * interval '1 minute', now() - (hashint4(n) & 16777215) * interval '1 second'
FROM (SELECT n, (%(tenants)s::uuid[])[1 + width_bucket(n %% 100, %(bounds)s::int[])] AS tenant
      FROM generate_series(1, %(rows)s) AS n) AS rows
"""
_CONTACTS = """
INSERT INTO conversations_contact (id, tenant_id, name, email, external_id, verified, attributes, created_at)
SELECT contact_id, tenant_id, 'Ada Person' || number, 'person' || number || '@example.com', '', false, '{}', now()
FROM (SELECT contact_id, tenant_id, row_number() OVER (PARTITION BY tenant_id ORDER BY updated_at) AS number
      FROM conversations_conversation) AS known
"""
_TAGS = """
INSERT INTO conversations_conversationtag (id, tenant_id, conversation_id, kind, name)
SELECT gen_random_uuid(), tenant_id, id, 'label', unnest(labels) FROM conversations_conversation
UNION ALL SELECT gen_random_uuid(), tenant_id, id, 'intent', unnest(intents) FROM conversations_conversation
"""
_MESSAGES = """
INSERT INTO conversations_message (id, tenant_id, conversation_id, seq, prev_public_seq, role, text, private, citations,
  decision, created_at)
SELECT gen_random_uuid(), tenant_id, id, said.n, said.n - 1, 'contact', CASE
  WHEN hashtext(id::text) % 9973 = 0 AND said.n = 2 THEN 'The parcel arrived with a cracked gramophone in it, please help.'
  ELSE 'Where is my parcel with the number ' || md5(id::text || said.n) || '? I have waited for a week now.' END,
  false, '[]', '', created_at
FROM conversations_conversation CROSS JOIN generate_series(1, 2) AS said(n)
"""
# The member of whom one conversation in forty is.
AGENT = uuid.UUID(hashlib.md5(b"u7", usedforsecurity=False).hexdigest())
FILTERS: tuple[dict[str, str], ...] = (
    {},
    {"status": "open"},
    {"mood": "negative"},
    {"mood": "positive"},
    {"status": "open", "mood": "positive"},
    {"language": "pt"},
    {"language": "fi"},
    {"intent": "order status"},
    {"intent": "complaint"},
    {"label": "billing"},
    {"label": "fraud"},
    {"status": "open", "label": "fraud"},
    {"status": "open", "mood": "negative", "language": "pt", "label": "billing"},
    {"status": "open", "assignee": str(AGENT)},
    {"status": "open", "handler": "person", "assignee": "none"},
    {"assignee": str(AGENT)},
)
# Searches: by a frequent word, a rare one, several, none that there is, by name and address, with a filter.
SEARCHES: tuple[dict[str, str], ...] = (
    {"q": "parcel"},
    {"q": "gramophone"},
    {"q": "gramo"},
    {"q": "cracked gramophone parcel"},
    {"q": "waited week parcel number"},
    {"q": "gramophone week"},
    {"q": "nobody says this"},
    {"q": "a"},
    {"q": "退款"},
    {"q": "person777"},
    {"q": "person777@example.com"},
    {"q": "ada parcel"},
    {"q": "ada"},
    {"q": "parcel", "mood": "positive"},
    {"q": "parcel", "status": "open", "label": "fraud"},
)


def filters(server: psycopg.Connection[Any], rows: int) -> None:
    """Print a line for each filter: how long a page takes, and by which index it is found."""
    conversations_write(server, rows)
    pages(FILTERS)


def conversations_write(server: psycopg.Connection[Any], rows: int) -> None:
    """Write conversations; the largest of the five organisations has `rows` of them."""
    bounds = [sum(SHARES[:number]) for number in range(1, len(SHARES))]
    server.execute(_CONVERSATIONS, {"tenants": TENANTS, "bounds": bounds, "rows": rows * 100 // SHARES[0]})
    for statement in (_CONTACTS, _TAGS, _MESSAGES):
        server.execute(statement)
    tables = ("conversation", "contact", "conversationtag", "message")
    server.execute(f"VACUUM ANALYZE {', '.join(f'conversations_{name}' for name in tables)}")


def pages(asked_for: Sequence[dict[str, str]]) -> None:
    """Print how long the first page of each takes."""
    for asked in asked_for:
        found, indexes = page(asked)
        median, worst = milliseconds(lambda asked=asked: page(asked, explain=False))
        name = " ".join(f"{key}={value}" for key, value in asked.items()) or "none"
        print(f"{name:<62} {found:>3} rows  {median:6.1f} ms, worst {worst:6.1f}  {', '.join(indexes)}", flush=True)


# -- by words --------------------------------------------------------------------------------------------------------
# A word that one conversation in five says, and another one that none of these says.
_OFTEN = """
UPDATE conversations_message SET text = text || CASE WHEN hashtext(conversation_id::text) % 5 = 0 THEN ' Refund wanted.'
  ELSE ' Exchange wanted.' END WHERE seq = 1 AND abs(hashtext(conversation_id::text)) % 5 < 2
"""
_SIZES = """
SELECT relname, pg_table_size(oid) / 1000000, pg_indexes_size(oid) / 1000000, reltuples::bigint FROM pg_class
WHERE relname IN ('conversations_message', 'conversations_conversationterm', 'conversations_contactterm')
"""


def words(server: psycopg.Connection[Any], rows: int) -> None:
    """Print how long searches take without terms and with them, what a message's terms cost, and how large they are."""
    conversations_write(server, rows)
    server.execute(_OFTEN)
    print("without terms (as before):", flush=True)
    pages(SEARCHES[:2])
    from apps.conversations.services import terms_follow

    server.execute(
        "INSERT INTO tenants_organization (id, name, slug, is_demo, settings, created_at) "
        "SELECT id, 'Bench', id::text, false, '{}', now() FROM unnest(%s::uuid[]) AS id",
        [TENANTS],
    )
    began = time.perf_counter()
    done = 0
    while part := terms_follow(turn_s=600):
        done += part
    took = time.perf_counter() - began
    print(f"terms of {done} conversations and contacts written in {took:.0f} s", flush=True)
    server.execute(
        "VACUUM ANALYZE conversations_conversationterm, conversations_contactterm, conversations_conversation"
    )
    for name, table, indexes, count in server.execute(_SIZES).fetchall():
        print(f"  {name}: {count} rows, table {table} MB, indexes {indexes} MB", flush=True)
    pages((*SEARCHES, {"q": "refund exchange"}, {"q": "refund wanted"}))
    for name, text in (
        (
            "a message of 20 words",
            "Where is my parcel? I have waited a week for it, and nobody tells me anything new {n}.",
        ),
        ("a message of 10,000 characters", " ".join(f"word{n}" for n in range(1_000)) + " {n}"),
        (
            "a Chinese message of 10,000 characters",
            "".join(chr(0x4E00 + n * 7 % 20_000) for n in range(9_990)) + " {n}",
        ),
    ):
        messages(name, text)


def messages(name: str, text: str) -> None:
    """Print how long posting a message takes with and without its terms; each in a conversation of its own."""
    from apps.conversations.services import message_post
    from apps.conversations.services import messages as module

    ids = conversation_ids(400)
    real = module.message_terms_add
    for shown, add in (("with terms", real), ("without", lambda conversation, message: False)):
        module.message_terms_add = add
        took = []
        for number in range(200):
            began = time.perf_counter()
            post = {"tenant_id": TENANTS[0], "conversation_id": ids.pop(), "role": "agent", "private": True}
            message_post(**post, text=text.replace("{n}", str(number))[:10_000])
            took.append((time.perf_counter() - began) * 1000)
        print(f"{name}, {shown}: median {statistics.median(took):.2f} ms", flush=True)
    module.message_terms_add = real


def conversation_ids(count: int) -> list[uuid.UUID]:
    """Return some conversations of the largest organisation."""
    from apps.conversations.models import Conversation
    from apps.core.tenancy import tenant_scope

    with tenant_scope(TENANTS[0]):
        return list(Conversation.objects.order_by("?").values_list("id", flat=True)[:count])


def page(asked: dict[str, str], *, explain: bool = True) -> tuple[int, list[str]]:
    """Return how many conversations the first page has, and what its statement is read from: indexes, or whole tables."""
    from django.db import connection

    from apps.conversations.selectors import conversations_list
    from apps.core.tenancy import tenant_scope

    seen: list[tuple[str, Any]] = []

    def note(execute: Any, statement: str, params: Any, many: bool, context: Any) -> Any:
        seen.append((statement, params))
        return execute(statement, params, many, context)

    with tenant_scope(TENANTS[0]), connection.execute_wrapper(note):
        found, _ = conversations_list(tenant_id=TENANTS[0], **asked)
    if not explain:
        return len(found), []
    statement, params = next((one for one in seen if "ORDER BY" in one[0]), ("", None))
    if not statement:
        return len(found), []  # no conversation has all the words: the list itself is not asked for
    with tenant_scope(TENANTS[0]), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}", params)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    places = re.findall(r"(?:Index (?:Only )?Scan(?: Backward)? using|Index Scan on|Seq Scan on) (\w+)", plan)
    return len(found), places


def main() -> int:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("meaning", "filters", "words"))
    parser.add_argument("--rows", default="")
    options = parser.parse_args()
    server = prepare()
    if options.what == "meaning":
        meaning(server, [int(part) for part in (options.rows or "1000,100000").split(",")])
    elif options.what == "words":
        words(server, int(options.rows or 50_000))
    else:
        filters(server, int(options.rows or 200_000))
    return 0


if __name__ == "__main__":
    sys.exit(main())
