"""Untrusted ids to rows: missing and foreign look the same."""

from __future__ import annotations

import uuid

from apps.core.errors import NotFound
from apps.core.ids import parse_id
from apps.core.tenancy import tenant_scope
from apps.knowledge.models import Source


def access_source_by_id(tenant_id: uuid.UUID, source_id: object, *, lock: bool = False) -> Source:
    """Return the source. `lock` takes the row for the rest of the open scope. Raises NotFound."""
    parsed = parse_id(source_id)
    with tenant_scope(tenant_id):
        rows = Source.objects.select_for_update() if lock else Source.objects.all()
        source = rows.filter(id=parsed).first() if parsed else None
    if source is None:
        raise NotFound("There is no such source.", code="source_not_found")
    return source
