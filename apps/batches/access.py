"""From an id that a caller gives to what it means. Foreign and missing look the same."""

from __future__ import annotations

import uuid

from apps.batches.models import Batch
from apps.core.errors import NotFound
from apps.core.ids import parse_id
from apps.core.tenancy import tenant_scope


def access_batch_by_id(tenant_id: uuid.UUID, batch_id: object, *, lock: bool = False) -> Batch:
    """Return the batch. `lock` takes the row for the rest of the open scope. Raises NotFound "batch_not_found"; one that
    is being removed is missing."""
    parsed = parse_id(batch_id)
    with tenant_scope(tenant_id):
        rows = Batch.objects.exclude(status=Batch.Status.DELETING)
        rows = rows.select_for_update() if lock else rows
        batch = rows.filter(id=parsed).first() if parsed else None
    if batch is None:
        raise NotFound("There is no such batch.", code="batch_not_found")
    return batch
