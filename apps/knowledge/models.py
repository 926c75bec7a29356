"""Sources, their files, documents and chunks."""

from __future__ import annotations

from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models.functions import Cast
from pgvector.django import HnswIndex, VectorField

from apps.core.bases import TenantModel
from apps.inference.types import SPACE_CHARS
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
    """A passage. `search_text` is a tsvector in text form, made by lexis.py; `search` is generated from it.

    What is embedded is `context` (title and headings; None in rows of the first version, which can be made again from
    them) above `text`. `embedding` is for processes of that version, which may still run: vectors are ChunkVector's.
    """

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="chunks", db_constraint=False)
    source_id = models.UUIDField()
    collection = models.CharField(max_length=60)
    ordinal = models.IntegerField()
    heading = models.CharField(max_length=2000, blank=True)
    anchor = models.CharField(max_length=500, blank=True)
    context = models.TextField(null=True)  # noqa: DJ001  (None and "" are two things, see above)
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
            models.Index(fields=["tenant_id", "collection"], name="knowledge_chunk_tenant"),
            models.Index(fields=["tenant_id", "embed_sha256"], name="knowledge_chunk_embed"),
        ]


class ChunkVector(TenantModel):
    """Where a passage lies in one space (`name@revision` of the encoder): one row for each space that counts."""

    chunk = models.ForeignKey(Chunk, on_delete=models.CASCADE, db_constraint=False, db_index=False)
    collection = models.CharField(max_length=60)
    space = models.CharField(max_length=SPACE_CHARS)
    embed_sha256 = models.CharField(max_length=64)
    embedding = VectorField(dimensions=EMBEDDING_DIMENSIONS)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "chunk", "space"], name="knowledge_chunkvector_once")
        ]
        indexes = [
            # Above all else this one: with it the planner reads a small tenant exactly, past the approximate index.
            models.Index(fields=["tenant_id", "space", "collection"], name="knowledge_chunkvector_space"),
            models.Index(fields=["tenant_id", "embed_sha256"], name="knowledge_chunkvector_embed"),
            HnswIndex(
                fields=["embedding"],
                name="knowledge_chunkvector_hnsw",
                m=16,
                ef_construction=64,
                opclasses=["vector_cosine_ops"],
            ),
        ]


class ChunkTerm(TenantModel):
    """That a passage says a term of lexis.py. The database writes and removes it with the passage, from `search`.

    Below row-level security PostgreSQL looks things up in an index only by operators that leak nothing. Equality of
    texts is one, the match of a tsvector is none: its index would never be used.
    """

    id = None  # type: ignore[assignment]
    pk = models.CompositePrimaryKey("tenant_id", "term", "chunk_id")
    term = models.TextField()
    # No foreign key: it would need a second index of this size, and the trigger knows the terms of what it removes.
    chunk_id = models.UUIDField()

    class Meta(TenantModel.Meta):
        pass
