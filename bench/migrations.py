"""How long each migration of the coming version holds tables that are in use: `python -m bench.migrations --rows 1000000`.

A scratch database at the version before (`VERSION_BEFORE` of tests/matrix/test_migrations.py) gets rows in the tables that a
migration since then alters. Then the migrations run one after the other, and the locks of their connection are looked at
every few milliseconds. Printed for each: how long it took, and for each table of before how long it held a lock that stops
readers ("reads") or writers ("writes"). The status is 1 where one is held longer than `LONGEST_S`.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections import defaultdict
from typing import Any

import psycopg

os.environ["DB_ROLE"] = "app_owner"  # read when the settings are

from bench import scratch

LOOK_EVERY_S = 0.003
LONGEST_S = 1.0
# Tables that hold few rows in any installation, and one whose rows hold a vector each.
FEW = {
    "accounts_user": 10_000,
    "accounts_membership": 10_000,
    "accounts_credential": 10_000,
    "conversations_inbox": 1_000,
    "inference_vectorspace": 1_000,
    "knowledge_source": 10_000,
    "knowledge_document": 10_000,
    "knowledge_chunk": 20_000,
    "analysis_messagevector": 50_000,
    "analysis_classifierversion": 10_000,
    "tenants_organization": 10,
}
_STOPS = {
    "AccessExclusiveLock": "reads",
    "ExclusiveLock": "writes",
    "ShareRowExclusiveLock": "writes",
    "ShareLock": "writes",
}
_HELD = """
SELECT DISTINCT relname, mode FROM pg_locks JOIN pg_class ON pg_class.oid = relation
WHERE granted AND relkind = 'r' AND relnamespace = 'public'::regnamespace AND mode = ANY(%s) AND pid <> pg_backend_pid()
"""
_COLUMNS = """
SELECT column_name, data_type, udt_name, coalesce(character_maximum_length, 32) FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = %s AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'
  AND is_generated = 'NEVER'
"""
# Of one organisation, which is there: migrations that go through the organisations find the rows.
TENANT = "'00000000-0000-0000-0000-000000000001'::uuid"
_ORGANIZATION = (
    f"UPDATE tenants_organization SET id = {TENANT} WHERE id = (SELECT id FROM tenants_organization LIMIT 1)"
)
_VALUES = {
    "uuid": "gen_random_uuid()",
    "jsonb": "'{}'::jsonb",
    "bool": "false",
    "timestamptz": "now() - n * interval '1 second'",
    "vector": "array_fill(0.05, ARRAY[384])::vector",
    "halfvec": "array_fill(0.05, ARRAY[384])::halfvec",
}


class Watcher(threading.Thread):
    """Notes the locks on tables while migrations run; `took` has seconds by (migration, table, what it stops)."""

    def __init__(self, tables: set[str]) -> None:
        super().__init__(daemon=True)
        self.tables, self.migration, self.stopped = tables, "", threading.Event()
        self.took: defaultdict[tuple[str, str, str], float] = defaultdict(float)

    def run(self) -> None:
        """Look until stopped. A lock that is seen in two looks was held from the one to the other."""
        with psycopg.connect(scratch.superuser(), autocommit=True) as server:
            since: dict[tuple[str, str, str], float] = {}
            while not self.stopped.wait(LOOK_EVERY_S):
                at = time.perf_counter()
                rows = server.execute(_HELD, [list(_STOPS)]).fetchall()
                held = {(self.migration, table, _STOPS[mode]) for table, mode in rows if table in self.tables}
                since = {key: since.get(key, at) for key in held}
                for key, began in since.items():
                    self.took[key] = max(self.took[key], time.perf_counter() - began)


def fill(server: psycopg.Connection[Any], table: str, rows: int) -> None:
    """Insert rows with something in each column that needs it."""
    columns = server.execute(_COLUMNS, [table]).fetchall()
    values = []
    for name, data_type, udt, most in columns:
        if name == "tenant_id":
            values.append(TENANT)
        elif data_type == "ARRAY":
            values.append("'{}'")
        elif udt in _VALUES:
            values.append(_VALUES[udt])
        else:
            numbers = data_type in {"integer", "bigint", "smallint", "double precision"}
            values.append("n % 30000" if numbers else f"left(md5(n::text), {most})")
    names = ", ".join(f'"{name}"' for name, *_ in columns)
    server.execute(f'INSERT INTO "{table}" ({names}) SELECT {", ".join(values)} FROM generate_series(1, {rows}) n')


def tables_of(migration: Any) -> set[str]:
    """Return the tables of models that a migration's operations name, and those that its statements do."""
    found = set()
    for operation in migration.operations:
        name = getattr(operation, "model_name", "")
        found |= {f"{migration.app_label}_{name.lower()}"} if name else set()
        found |= set(str(getattr(operation, "sql", "")).replace('"', " ").replace("(", " ").split())
    return found


def main() -> int:
    """Fill, migrate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    scratch.serve()
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    from tests.matrix.test_migrations import MIGRATIONS, VERSION_BEFORE

    executor = MigrationExecutor(connection)
    ours = {app for app, _ in executor.loader.disk_migrations if app in {name.split(".")[0] for name in MIGRATIONS}}
    before = [
        key
        for key in executor.loader.disk_migrations
        if key[0] in ours and int(key[1][:4]) == VERSION_BEFORE.get(key[0], 0)
    ]
    executor.migrate([*before, *(key for key in executor.loader.graph.leaf_nodes() if key[0] not in ours)])
    with psycopg.connect(scratch.superuser(), autocommit=True) as server:
        there = {name for (name,) in server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
        wanted = sorted(there & {table for one in MIGRATIONS.values() for table in tables_of(one)})
        server.execute("SET session_replication_role = replica")
        for table in wanted:
            rows = min(options.rows, FEW.get(table, options.rows))
            began = time.perf_counter()
            fill(server, table, rows)
            print(f"{rows:>9} rows in {table} ({time.perf_counter() - began:.0f} s)", flush=True)
        server.execute(_ORGANIZATION)
        server.execute("VACUUM ANALYZE")
    watcher = Watcher(there)
    watcher.start()
    plan = MigrationExecutor(connection).migration_plan(executor.loader.graph.leaf_nodes())
    for migration, _ in plan:
        watcher.migration = f"{migration.app_label}.{migration.name}"
        began = time.perf_counter()
        call_command("migrate", migration.app_label, migration.name, verbosity=0)
        took = time.perf_counter() - began
        held = {key[1:]: value for key, value in list(watcher.took.items()) if key[0] == watcher.migration}
        shown = ", ".join(
            f"{table} {stops} {seconds * 1000:.0f} ms" for (table, stops), seconds in sorted(held.items())
        )
        print(f"{watcher.migration:<45} {took:6.2f} s  {shown or 'no lock seen'}", flush=True)
    watcher.stopped.set()
    watcher.join()
    long = {key: seconds for key, seconds in watcher.took.items() if seconds > LONGEST_S}
    for (name, table, stops), seconds in long.items():
        print(f"TOO LONG: {name} stops {stops} of {table} for {seconds:.1f} s")
    return 1 if long else 0


if __name__ == "__main__":
    sys.exit(main())
