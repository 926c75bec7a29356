"""Messages by their meaning."""

from __future__ import annotations

from django.db import models
from pgvector.django import HalfVectorField, HnswIndex

from apps.core.bases import TenantModel
from apps.inference.types import SPACE_CHARS

# The table, constraints and indexes keep the names that they were made under, in the app `analysis`: processes of the
# version before read and write them, too.
EMBEDDING_DIMENSIONS = 384


class MessageVector(TenantModel):
    """Where a message lies among all texts: the vector of its text in English where it could be had, else as it is.

    In 16 bits a number: half the size of table and index, the same messages found. One row for each space (`name@revision`
    of the encoder) that counts. The column's default in the database is the space of those rows that were written before
    there was the column, and by processes that do not know it.
    """

    message = models.ForeignKey("conversations.Message", on_delete=models.CASCADE, db_constraint=False)
    conversation_id = models.UUIDField()
    space = models.CharField(max_length=SPACE_CHARS)
    embedding = HalfVectorField(dimensions=EMBEDDING_DIMENSIONS)

    class Meta(TenantModel.Meta):
        db_table = "analysis_messagevector"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "message", "space"], name="analysis_messagevector_once")
        ]
        indexes = [
            models.Index(fields=["tenant_id", "space"], name="analysis_messagevector_space"),
            HnswIndex(
                fields=["embedding"],
                name="analysis_messagevector_hnsw",
                m=16,
                ef_construction=64,
                opclasses=["halfvec_cosine_ops"],
            ),
        ]
