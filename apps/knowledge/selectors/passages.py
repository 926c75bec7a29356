"""A passage in its document."""

from __future__ import annotations

from apps.core.errors import NotFound
from apps.core.tenancy import tenant_scope
from apps.knowledge.links import passage_token_read
from apps.knowledge.models import Chunk, Document
from apps.knowledge.types import PassageView, ShownChunk

AROUND = 40
"""Passages shown before and after the cited one."""


def passage_view(*, token: str) -> PassageView:
    """Return the document that a link's token leads to, opened at the passage.

    The passage is found by place and content, else by content anywhere in the document; `found` is None when neither
    holds, since the document was changed. Raises NotFound for an invalid token and for a document that is gone.
    """
    ref = passage_token_read(token)
    with tenant_scope(ref.tenant_id):
        document = Document.objects.filter(id=ref.document_id).first()
        if document is None:
            raise NotFound("The document is not there any more.", code="passage_gone")
        chunks = Chunk.objects.filter(document=document)
        same = chunks.filter(text_sha256__startswith=ref.text_sha256).values_list("ordinal", flat=True)
        ordinals = list(same[:50])
        at = min(ordinals, key=lambda ordinal: abs(ordinal - ref.ordinal)) if ordinals else None
        centre = ref.ordinal if at is None else at
        rows = list(chunks.filter(ordinal__range=(centre - AROUND, centre + AROUND)).order_by("ordinal"))
    return PassageView(
        tenant_id=ref.tenant_id,
        title=document.title,
        source=document.name,
        chunks=tuple(ShownChunk(row.heading, row.anchor, row.text) for row in rows),
        found=next((index for index, row in enumerate(rows) if row.ordinal == at), None),
    )
