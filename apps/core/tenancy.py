"""Tenant scope over an opaque tenant id, and the migration operations that build the row-level-security wall.

The ContextVar says which tenant the code speaks for; PostgreSQL's `app.tenant_id`, set for the length of one
transaction, is what the policies compare. Forgetting the scope is loud here (`TenantUnset`) and harmless there (no rows).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import connection, transaction
from django.db.migrations.operations import RunSQL

_current: ContextVar[str | None] = ContextVar("tenant_id", default=None)


class TenantMismatch(RuntimeError):
    """A scope was opened for one tenant inside the scope of another."""


class TenantUnset(RuntimeError):
    """A tenant-owned table was touched outside `tenant_scope`."""


def current_tenant_id() -> uuid.UUID | None:
    """Return the tenant whose scope is open, or None."""
    value = _current.get()
    return uuid.UUID(value) if value else None


def _set_config(value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant_id', %s, true)", [value])


@contextmanager
def tenant_scope(tenant_id: uuid.UUID | str) -> Iterator[None]:
    """Open a transaction in which tenant-owned rows of `tenant_id`, and only those, exist.

    Nesting the same tenant is a savepoint. Raises TenantMismatch for another tenant.
    Querysets must be consumed inside: afterwards they return no rows.
    """
    wanted, outer = str(tenant_id), _current.get()
    if outer not in (None, wanted):
        raise TenantMismatch(f"scope of {outer} is open; {wanted} was asked for")
    if outer == wanted and connection.in_atomic_block:
        with transaction.atomic():
            yield
        return
    nested = connection.in_atomic_block
    token = _current.set(wanted)
    try:
        with transaction.atomic():
            _set_config(wanted)
            yield
            if nested:
                # A released savepoint keeps the setting: without this the tenant would outlive the block.
                _set_config("")
    finally:
        _current.reset(token)


def connection_release() -> None:
    """Give this thread's connection back to the pool before a long wait, e.g. for a model; no-op in a transaction.

    Without it a thread keeps its connection to the end of its request or job, and threads outnumber connections.
    """
    if not connection.in_atomic_block:
        connection.close()


def tenant_rls(table: str) -> RunSQL:
    """Migration operation: force row-level security on `table` (column `tenant_id`)."""
    predicate = "(tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)"
    return RunSQL(
        [
            f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY',
            f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY',
            f'CREATE POLICY tenant_isolation ON "{table}" USING {predicate} WITH CHECK {predicate}',
        ],
        [
            f'DROP POLICY tenant_isolation ON "{table}"',
            f'ALTER TABLE "{table}" NO FORCE ROW LEVEL SECURITY',
            f'ALTER TABLE "{table}" DISABLE ROW LEVEL SECURITY',
        ],
    )


def tenant_fk(table: str, column: str, target: str, *, on_delete: str = "CASCADE") -> RunSQL:
    """Migration operation: composite foreign key (tenant_id, column) -> target (tenant_id, id).

    The model field is a ForeignKey with `db_constraint=False`; `target` has a unique constraint on (tenant_id, id).
    """
    name = f"{table}_{column}_tenant_fk"
    if len(name) > 63:
        raise ValueError(f"constraint name longer than 63 bytes: {name}")
    action = f"SET NULL ({column})" if on_delete == "SET NULL" else on_delete
    return RunSQL(
        f'ALTER TABLE "{table}" ADD CONSTRAINT "{name}" FOREIGN KEY (tenant_id, "{column}") REFERENCES "{target}" '
        f"(tenant_id, id) ON DELETE {action} DEFERRABLE INITIALLY DEFERRED",
        f'ALTER TABLE "{table}" DROP CONSTRAINT "{name}"',
    )


def organization_fk(table: str) -> RunSQL:
    """Migration operation: tenant_id -> tenants_organization, so that deleting an organisation removes its rows."""
    name = f"{table}_organization_fk"
    return RunSQL(
        f'ALTER TABLE "{table}" ADD CONSTRAINT "{name}" FOREIGN KEY (tenant_id) REFERENCES tenants_organization (id) '
        "ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
        f'ALTER TABLE "{table}" DROP CONSTRAINT "{name}"',
    )
