"""A year of an installation, simulated, and its pruning: `python -m bench.year --messages-per-day 1000`.

Rows are inserted by SQL with times spread over the days: for each message of a visitor one message of the bot, three events
(two messages, one change), a reply with its why, and three jobs. Nothing was pruned meanwhile: it is what an installation
finds that comes from a version without retention. Printed: rows and size before and after, the time of pruning and its
longest statement, and the plan of the look-up of a reply by its message without and with its index.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import psycopg

from bench import scratch

TABLES = ("events_event", "jobs_job", "jobs_jobdispatch", "assistant_reply", "events_delivery", "django_session")
# About what a run of the bot writes down: five passages of 600 characters, timings and checks.
WHY_CHARS = 600


def _fill(owner: psycopg.Connection, tenant_id: Any, days: int, per_day: int) -> None:
    total = days * per_day
    at = f"now() - interval '{days} days' * (1 - n::float / {total})"
    t = f"'{tenant_id}'::uuid"
    owner.execute(
        "SET session_replication_role = replica"
    )  # no triggers of foreign keys: this is only about size and time
    passages = json.dumps([{"document": "d", "heading": "h", "score": 0.5, "text": "@", "url": "/p"}] * 5)
    why = f'replace(\'{{"model":"small","passages":{passages}}}\', \'@\', text.passage)::jsonb'
    steps = {
        "events": f"""
            INSERT INTO events_event (id, tenant_id, type, subject_type, subject_id, data, actor, handlers, created_at)
            SELECT gen_random_uuid(), {t}, kind, 'conversation', gen_random_uuid(), jsonb_build_object('message_id',
              gen_random_uuid(), 'seq', n, 'role', 'contact', 'private', false), 'visitor',
              '["assistant.message_answer", "analysis.message_read"]', {at}
            FROM generate_series(1, {total}) n,
            unnest(ARRAY['message.created', 'message.created', 'conversation.updated']) kind""",
        "jobs": f"""
            WITH made AS (INSERT INTO jobs_job (id, tenant_id, kind, payload, unique_key, done, total, note, error_code,
              error_message, created_at, finished_at)
            SELECT gen_random_uuid(), {t}, kind, jsonb_build_object('message_id', gen_random_uuid()),
              gen_random_uuid()::text, 0, 0, '', '', '', {at}, {at}
            FROM generate_series(1, {total}) n, unnest(ARRAY['assistant.reply_generate', 'analysis.message_annotate',
              'analysis.message_annotate']) kind RETURNING id, finished_at)
            INSERT INTO jobs_jobdispatch (job_id, tenant_id, queue, status, attempts, cancel_requested, next_attempt_at)
            SELECT id, {t}, 'default', 'done', 1, false, finished_at FROM made""",
        "replies": f"""
            INSERT INTO assistant_reply (id, tenant_id, conversation_id, status, covers_from_seq, covers_to_seq, job_id,
              message_id, decision, reason, error_code, why, created_at, finished_at)
            SELECT gen_random_uuid(), {t}, gen_random_uuid(), 'done', 1, 1, gen_random_uuid(), gen_random_uuid(), 'answer',
              '', '', {why}, {at}, {at} FROM generate_series(1, {total}) n
            CROSS JOIN LATERAL (SELECT left(string_agg(md5(n::text || i::text), ' '), {WHY_CHARS}) AS passage
              FROM generate_series(1, {WHY_CHARS // 30}) i) text""",
        "sessions": f"""
            INSERT INTO django_session (session_key, session_data, expire_date)
            SELECT left(md5(random()::text) || md5(n::text), 40), repeat('x', 200), {at} + interval '14 days'
            FROM generate_series(1, {days * 20}) n(n_), LATERAL (SELECT n_ * {total} / {days * 20} AS n) s""",
    }
    for name, sql in steps.items():
        began = time.perf_counter()
        owner.execute(sql)
        print(f"  {name}: written in {time.perf_counter() - began:.0f} s", flush=True)
    owner.execute("SET session_replication_role = origin")
    owner.execute("VACUUM ANALYZE")


def _sizes(owner: psycopg.Connection) -> dict[str, tuple[int, int]]:
    found = {}
    for table in TABLES:
        rows = owner.execute(f"SELECT count(*) FROM {table}").fetchone()
        size = owner.execute("SELECT pg_total_relation_size(%s)", [table]).fetchone()
        found[table] = (rows[0], size[0]) if rows and size else (0, 0)
    return found


def _plans(owner: psycopg.Connection, tenant_id: Any) -> None:
    asked = (
        "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT * FROM assistant_reply"
        f" WHERE tenant_id = '{tenant_id}' AND message_id = %s"
    )
    row = owner.execute("SELECT message_id FROM assistant_reply OFFSET 1000 LIMIT 1").fetchone()
    assert row is not None
    owner.execute("BEGIN")
    owner.execute("DROP INDEX reply_message")
    without = [line for (line,) in owner.execute(asked, [row[0]]).fetchall()]
    owner.execute("ROLLBACK")
    with_it = [line for (line,) in owner.execute(asked, [row[0]]).fetchall()]
    for title, lines in (("without its index", without), ("with it", with_it)):
        print(
            f"reply by message, {title}:",
            *(line for line in lines if "Scan" in line or "Execution" in line),
            sep="\n  ",
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages-per-day", type=int, default=1000, help="of visitors")
    parser.add_argument("--days", type=int, default=365)
    options = parser.parse_args()
    tenant_id = scratch.start()
    from django.conf import settings
    from django.db import connection

    from apps.tenants.pruning import retention_run

    # A year is shorter than the 400 days of events: here a quarter of a year is kept, so that pruning has something to do.
    settings.RETENTION_EVENTS_DAYS = 90
    with psycopg.connect(scratch.superuser(), autocommit=True) as owner:
        _fill(owner, tenant_id, options.days, options.messages_per_day)
        before = _sizes(owner)
        _plans(owner, tenant_id)
        longest, count, began = [0.0], [0], time.perf_counter()

        def timed(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            start = time.perf_counter()
            try:
                return execute(sql, params, many, context)
            finally:
                longest[0], count[0] = max(longest[0], time.perf_counter() - start), count[0] + 1

        runs, removed = 0, {}
        with connection.execute_wrapper(timed):
            while True:
                part = retention_run()
                runs += 1
                removed = {name: removed.get(name, 0) + rows for name, rows in part.items()}
                if not any(part.values()):
                    break
        took = time.perf_counter() - began
        owner.execute("VACUUM ANALYZE")
        after = _sizes(owner)
        owner.execute("VACUUM FULL")
        needed = _sizes(owner)
    print(f"{options.days} days of {options.messages_per_day} visitors' messages; removed {removed}")
    print(f"pruned in {took:.0f} s ({runs} runs), {count[0]} statements, the longest {longest[0] * 1000:.0f} ms")
    for table in TABLES:
        (rows, size), (rows_after, size_after) = before[table], after[table]
        print(
            f"  {table:16} {rows:>9,} rows {size / 2**20:>6.0f} MiB -> {rows_after:>9,} rows {size_after / 2**20:>6.0f} MiB,"
            f" of which {needed[table][1] / 2**20:>5.0f} MiB are in use, the rest is free for new rows"
        )


if __name__ == "__main__":
    main()
