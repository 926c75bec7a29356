"""The link to a passage, for those who may read it."""

from __future__ import annotations

import uuid

from apps.core.errors import NotFound
from apps.core.tenancy import tenant_scope
from apps.knowledge.links import PassageRef, passage_url
from apps.knowledge.models import Chunk


def passage_link(*, tenant_id: uuid.UUID, chunk_id: uuid.UUID) -> str:
    """Return the link to a passage by its present id. Raises NotFound. Give it only to those who may read it."""
    with tenant_scope(tenant_id):
        row = Chunk.objects.filter(id=chunk_id).values_list("document_id", "ordinal", "text_sha256").first()
    if row is None:
        raise NotFound("There is no such passage.")
    return passage_url(PassageRef(tenant_id, *row))
