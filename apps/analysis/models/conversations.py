"""Messages by their meaning."""

from __future__ import annotations

from django.db import models
from pgvector.django import HnswIndex, VectorField

from apps.core.bases import TenantModel

EMBEDDING_DIMENSIONS = 384


class MessageVector(TenantModel):
    """Where a message lies among all texts: the vector of its text in English where it could be had, else as it is."""

    message = models.ForeignKey("conversations.Message", on_delete=models.CASCADE, db_constraint=False)
    conversation_id = models.UUIDField()
    embedding = VectorField(dimensions=EMBEDDING_DIMENSIONS)

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant_id", "message"], name="analysis_messagevector_message")]
        indexes = [
            HnswIndex(
                fields=["embedding"],
                name="analysis_messagevector_hnsw",
                m=16,
                ef_construction=64,
                opclasses=["vector_cosine_ops"],
            )
        ]
