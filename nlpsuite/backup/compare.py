"""What a database holds, as digests that two databases can be compared by, and the catalogue of its walls."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg import sql

from nlpsuite.backup.progress import Progress

# How values are written as text must not depend on the server's settings.
_TEXT_SETTINGS = (
    "SET DateStyle = 'ISO, YMD'",
    "SET TimeZone = 'UTC'",
    "SET IntervalStyle = 'postgres'",
    "SET bytea_output = 'hex'",
    "SET extra_float_digits = 1",
)
_TABLES = """
SELECT c.relname, pg_table_size(c.oid) FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY c.relname
"""
# Sums of digests do not depend on the order of rows, which a restore does not keep.
_DIGEST = """
SELECT count(*), COALESCE(sum(('x' || substr(md5(t::text), 1, 16))::bit(64)::bigint::numeric), 0)::text,
       COALESCE(sum(('x' || substr(md5(t::text), 17, 16))::bit(64)::bigint::numeric), 0)::text
FROM ONLY {} t
"""
# Each gives pairs of a name and what it is.
_CATALOGUE = {
    "row-level security": """
        SELECT relname, concat_ws(' ', relkind, relrowsecurity, relforcerowsecurity) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')""",
    "policies": """
        SELECT tablename || '.' || policyname, concat_ws(' | ', permissive, roles::text, cmd, qual, with_check)
        FROM pg_policies WHERE schemaname = 'public'""",
    "columns": """
        SELECT c.relname || '.' || a.attname, concat_ws(' | ', format_type(a.atttypid, a.atttypmod), a.attnotnull,
            a.attgenerated, a.attidentity, pg_get_expr(d.adbin, d.adrelid))
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0
        AND NOT a.attisdropped""",
    "constraints": """
        SELECT conrelid::regclass::text || '.' || conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND conrelid <> 0""",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "grants": """
        SELECT table_name, string_agg(privilege_type, ' ' ORDER BY privilege_type)
        FROM information_schema.role_table_grants WHERE table_schema = 'public' AND grantee = 'app_rw'
        GROUP BY table_name""",
}
# PostgreSQL writes `status IN ('a', 'b')` of a varchar in one way when it was typed and in another when it was reloaded:
# casts and parentheses move. Policies are compared letter by letter.
_REPARSED = frozenset({"indexes", "constraints"})
_MOVING = re.compile(r"::(?:character varying|text)(?:\[\])?|[()\s]")


def table_sizes(connection: psycopg.Connection) -> dict[str, int]:
    """Return the bytes of each table of rows, without its indexes."""
    return dict(connection.execute(_TABLES).fetchall())


def database_describe(connection: psycopg.Connection, progress: Progress, label: str) -> dict[str, Any]:
    """Return rows and digest of each table and the catalogue, as the open transaction sees them."""
    for statement in _TEXT_SETTINGS:
        connection.execute(statement)  # type: ignore[arg-type]
    sizes = table_sizes(connection)
    progress.begin(label, sum(sizes.values()))
    tables = {}
    for name, size in sizes.items():
        row = connection.execute(sql.SQL(_DIGEST).format(sql.Identifier("public", name))).fetchone()
        assert row is not None  # noqa: S101  (an aggregate has one row)
        tables[name] = {"rows": row[0], "digest": f"{row[1]}.{row[2]}"}
        progress.add(size)
    progress.end()
    catalogue: dict[str, dict[str, Any]] = {
        part: dict(connection.execute(query).fetchall()) for part, query in _CATALOGUE.items()
    }
    return {"tables": tables, "catalogue": catalogue}


def database_differences(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Return what differs, one line each."""
    lines = _of_tables(wanted["tables"], found["tables"])
    for part, entries in wanted["catalogue"].items():
        there = found["catalogue"].get(part, {})
        lines += [f"{part}: {name} is missing" for name in entries.keys() - there.keys()]
        lines += [f"{part}: {name} was not in the backup" for name in there.keys() - entries.keys()]
        same = _same_definition if part in _REPARSED else str.__eq__
        lines += [
            f"{part}: {name} differs" for name in entries.keys() & there.keys() if not same(entries[name], there[name])
        ]
    return sorted(lines)


def _same_definition(one: str, other: str) -> bool:
    return _MOVING.sub("", one) == _MOVING.sub("", other)


def _of_tables(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    lines = [f"table {name} is missing" for name in wanted.keys() - found.keys()]
    lines += [f"table {name} was not in the backup" for name in found.keys() - wanted.keys()]
    for name in wanted.keys() & found.keys():
        if wanted[name]["rows"] != found[name]["rows"]:
            lines.append(f"table {name}: {found[name]['rows']} rows, {wanted[name]['rows']} in the backup")
        elif wanted[name] != found[name]:
            lines.append(f"table {name}: the rows differ")
    return lines
