"""Refusing to start under a database role that row-level security does not bind."""

from __future__ import annotations

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

_ROLE_SQL = """
SELECT r.rolsuper OR r.rolbypassrls OR EXISTS (
    SELECT 1 FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
    AND pg_has_role(current_user, c.relowner, 'USAGE'))
FROM pg_roles r WHERE r.rolname = current_user
"""
_WALLS_SQL = """
SELECT c.relname FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (
    SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polqual IS NOT NULL AND p.polwithcheck IS NOT NULL))
"""


def exempt_tables() -> frozenset[str]:
    """Return the tables with a tenant_id that are read before the tenant is known: their models say so, and why, by
    `read_before_tenant`. Their columns hold ids, digests, times and states."""
    return frozenset(one._meta.db_table for one in apps.get_models() if getattr(one, "read_before_tenant", ""))


def open_tables() -> list[str]:
    """Return the tables with a tenant_id that lack forced row-level security and are not exempt."""
    with connection.cursor() as cursor:
        cursor.execute(_WALLS_SQL)
        return sorted({name for (name,) in cursor.fetchall()} - exempt_tables())


def boot_check() -> None:
    """Raise ImproperlyConfigured when connected as a superuser or table owner, when a tenant table is open, when
    pgvector's iterative scan is off (small tenants would lose rows without an error), or without a proper SECRET_KEY."""
    if not settings.SECRET_KEY_IS_KEPT:
        raise ImproperlyConfigured("SECRET_KEY is not set or is shorter than 32 characters.")
    with connection.cursor() as cursor:
        cursor.execute(_ROLE_SQL)
        row = cursor.fetchone()
        if row is None or row[0]:
            raise ImproperlyConfigured(
                "The application's database role is a superuser, bypasses row-level security or owns tables. "
                "Connect as an unprivileged role (app_rw) and run migrations with DB_ROLE=app_owner."
            )
        # The library must be loaded first: before that PostgreSQL shows any value of its settings back.
        cursor.execute("SELECT '[1]'::vector")
        cursor.execute("SHOW hnsw.iterative_scan")
        if cursor.fetchone()[0] != "relaxed_order":
            raise ImproperlyConfigured("hnsw.iterative_scan is not relaxed_order on this connection.")
    found = open_tables()
    if found:
        raise ImproperlyConfigured(f"Tables without forced row-level security: {', '.join(found)}")
    connection.close()
