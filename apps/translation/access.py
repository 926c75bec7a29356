"""From an id that a caller gives to what it means. Foreign and missing look the same."""

from __future__ import annotations

import uuid

from apps.core.errors import NotFound
from apps.core.ids import parse_id
from apps.core.tenancy import tenant_scope
from apps.translation.models import TranslatedDocument


def access_document_by_id(tenant_id: uuid.UUID, document_id: object, *, lock: bool = False) -> TranslatedDocument:
    """Return a document's row, locked for the rest of the open scope with `lock`. Raises NotFound."""
    parsed = parse_id(document_id)
    with tenant_scope(tenant_id):
        rows = TranslatedDocument.objects.select_for_update() if lock else TranslatedDocument.objects.all()
        row = rows.filter(id=parsed).first() if parsed else None
    if row is None:
        raise NotFound("There is no such document.", code="document_not_found")
    return row
