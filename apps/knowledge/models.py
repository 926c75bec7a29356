"""Sources, their files, documents and chunks."""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models.functions import Cast
from pgvector.django import HnswIndex, VectorField

from apps.core.bases import TenantModel
from apps.knowledge.types import SourceKind

EMBEDDING_DIMENSIONS = 384


def _unique(table: str) -> models.UniqueConstraint:
    """The target of composite foreign keys."""
    return models.UniqueConstraint(fields=["tenant_id", "id"], name=f"{table}_tenant_id_uniq")


class Source(TenantModel):
    """What somebody added in one go: files, a site, or a text. Its documents are replaced as a whole."""

    kind = models.CharField(max_length=8, choices=[(kind.value, kind.value) for kind in SourceKind])
    name = models.CharField(max_length=300)
    url = models.CharField(max_length=2000, blank=True)
    collection = models.CharField(max_length=60, default="default")
    status = models.CharField(max_length=8, default="queued")
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    problems = models.JSONField(default=list)
    flags = models.JSONField(default=list)
    size_bytes = models.BigIntegerField(default=0)
    content_sha256 = models.CharField(max_length=64, blank=True)
    document_count = models.IntegerField(default=0)
    chunk_count = models.IntegerField(default=0)
    job_id = models.UUIDField(null=True)
    created_by = models.CharField(max_length=80, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    ready_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints = [_unique("knowledge_source")]
        indexes = [models.Index(fields=["tenant_id", "collection"], name="knowledge_source_collection")]


class SourceFile(TenantModel):
    """An uploaded file. `storage_name` is generated, `name` is what the uploader called it, cleaned."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="files", db_constraint=False)
    name = models.CharField(max_length=200)
    storage_name = models.CharField(max_length=200)
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)

    class Meta(TenantModel.Meta):
        constraints = [_unique("knowledge_sourcefile")]


class Document(TenantModel):
    """One file or page of a source. `name` is the file name or the URL; the row keeps its id when it is read again."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="documents", db_constraint=False)
    name = models.CharField(max_length=2000)
    name_sha256 = models.CharField(max_length=64)
    url = models.CharField(max_length=2000, blank=True)
    title = models.CharField(max_length=300)
    format = models.CharField(max_length=12)
    flags = models.JSONField(default=list)
    chunk_count = models.IntegerField(default=0)
    term_count = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        constraints = [
            _unique("knowledge_document"),
            models.UniqueConstraint(fields=["tenant_id", "source", "name_sha256"], name="knowledge_document_name"),
        ]


class Chunk(TenantModel):
    """A passage. `search_text` is a tsvector in text form, made by lexis.py; `search` is generated from it."""

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="chunks", db_constraint=False)
    source_id = models.UUIDField()
    collection = models.CharField(max_length=60)
    ordinal = models.IntegerField()
    heading = models.CharField(max_length=2000, blank=True)
    anchor = models.CharField(max_length=500, blank=True)
    text = models.TextField()
    text_sha256 = models.CharField(max_length=64)
    embed_sha256 = models.CharField(max_length=64)
    embedding = VectorField(dimensions=EMBEDDING_DIMENSIONS)
    term_count = models.IntegerField()
    search_text = models.TextField()
    search = models.GeneratedField(
        expression=Cast("search_text", SearchVectorField()),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    class Meta(TenantModel.Meta):
        constraints = [
            _unique("knowledge_chunk"),
            models.UniqueConstraint(fields=["tenant_id", "document", "ordinal"], name="knowledge_chunk_ordinal"),
        ]
        indexes = [
            # Above all else this one: with it the planner reads a small tenant exactly, past the approximate index.
            models.Index(fields=["tenant_id", "collection"], name="knowledge_chunk_tenant"),
            models.Index(fields=["tenant_id", "embed_sha256"], name="knowledge_chunk_embed"),
            HnswIndex(
                fields=["embedding"],
                name="knowledge_chunk_hnsw",
                m=16,
                ef_construction=64,
                opclasses=["vector_cosine_ops"],
            ),
            # btree_gin lets the tenant lead, so that common words of other tenants cost nothing.
            GinIndex(
                fields=["tenant_id", "search"], name="knowledge_chunk_search", opclasses=["uuid_ops", "tsvector_ops"]
            ),
            GinIndex(fields=["tenant_id", "text"], name="knowledge_chunk_trgm", opclasses=["uuid_ops", "gin_trgm_ops"]),
        ]
