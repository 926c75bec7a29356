"""Removing the rows of an organisation a part at a time: no statement or transaction grows with the organisation."""

from __future__ import annotations

import uuid
from graphlib import TopologicalSorter

from django.db import connection

from apps.core.boot import exempt_tables

_KEYS = """
SELECT child.relname, parent.relname FROM pg_constraint
JOIN pg_class child ON child.oid = conrelid JOIN pg_class parent ON parent.oid = confrelid
WHERE contype = 'f' AND child.relnamespace = 'public'::regnamespace
"""
_DELETE = "DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE tenant_id = %s LIMIT %s))"


def tables_to_erase() -> list[str]:
    """Return the tables whose rows go with their organisation, each before those that it points at: what a row's
    deletion takes along is gone already. First those that credentials, jobs and deliveries are found by, so that nobody
    comes in and nothing starts meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute(_KEYS)
        keys = [(child, parent) for child, parent in cursor.fetchall() if child != parent]
    owned = {child for child, parent in keys if parent == "tenants_organization"}
    children = {table: {child for child, parent in keys if parent == table and child in owned} for table in owned}
    doors = exempt_tables()
    return sorted(TopologicalSorter(children).static_order(), key=lambda table: table not in doors)


def rows_erase(*, tenant_id: uuid.UUID, table: str, most: int) -> int:
    """Delete up to `most` rows of the organisation whose scope is open; returns how many there were."""
    with connection.cursor() as cursor:
        cursor.execute(_DELETE.format(table=connection.ops.quote_name(table)), [tenant_id, most])
        return cursor.rowcount
