"""Every row of an organisation, for comparing before and after."""

from __future__ import annotations

import uuid
from typing import Any

from django.apps import apps

from apps.core.tenancy import tenant_scope

MODELS = [m for m in apps.get_models() if any(f.column == "tenant_id" for f in m._meta.concrete_fields)]


def rows_of(tenant_id: uuid.UUID, *, without: frozenset[str] = frozenset()) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every table with a tenant, by table, in order of their key; `without` names columns."""
    found = {}
    with tenant_scope(tenant_id):
        for model in MODELS:
            names = [f.attname for f in model._meta.concrete_fields if f.attname not in without]
            rows = model._default_manager.filter(tenant_id=tenant_id).order_by("pk")
            found[model._meta.db_table] = [
                {name: str(value) for name, value in row.items()} for row in rows.values(*names)
            ]
    return found
