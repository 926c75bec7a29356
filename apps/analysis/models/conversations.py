"""Messages by their meaning."""

from __future__ import annotations

from django.db import models
from pgvector.django import HalfVectorField, HnswIndex

from apps.core.bases import TenantModel

EMBEDDING_DIMENSIONS = 384


class MessageVector(TenantModel):
    """Where a message lies among all texts: the vector of its text in English where it could be had, else as it is.

    In 16 bits a number: half the size of table and index, the same messages found.
    """

    message = models.ForeignKey("conversations.Message", on_delete=models.CASCADE, db_constraint=False)
    conversation_id = models.UUIDField()
    embedding = HalfVectorField(dimensions=EMBEDDING_DIMENSIONS)

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant_id", "message"], name="analysis_messagevector_message")]
        indexes = [
            HnswIndex(
                fields=["embedding"],
                name="analysis_messagevector_hnsw",
                m=16,
                ef_construction=64,
                opclasses=["halfvec_cosine_ops"],
            )
        ]
