"""What an organisation tells its translations: terms, approved texts; and the documents it had translated."""

from __future__ import annotations

from django.db import models

from apps.core.bases import TenantModel

# The tables, constraints and indexes keep the names that they were made under, in the app `analysis`: processes of the
# version before read and write them, too.
LANGUAGE_CHARS = 20


class GlossaryEntry(TenantModel):
    """A term and what it must be called in another language; a term that stays as it is translates to itself."""

    source = models.CharField(max_length=LANGUAGE_CHARS)
    target = models.CharField(max_length=LANGUAGE_CHARS)
    term = models.CharField(max_length=200)
    # The term in lower case: an organisation has one translation of it per pair of languages.
    term_key = models.CharField(max_length=400)
    translation = models.CharField(max_length=200)
    case_sensitive = models.BooleanField(default=False)
    created_by = models.CharField(max_length=80, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        db_table = "analysis_glossaryentry"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "source", "target", "term_key"], name="analysis_glossaryentry_term"
            )
        ]
        # In the order of the list, as below: a page of 50 must not read and sort them all.
        indexes = [models.Index(fields=["tenant_id", "-id"], name="analysis_glossary_list")]


class MemoryUnit(TenantModel):
    """A text whose translation somebody approved. `digest` is that of the text, white space apart."""

    source = models.CharField(max_length=LANGUAGE_CHARS)
    target = models.CharField(max_length=LANGUAGE_CHARS)
    digest = models.CharField(max_length=64)
    text = models.TextField()
    translation = models.TextField()
    created_by = models.CharField(max_length=80, blank=True)
    # Whether the terms of the text are there. The text of a row never changes: its digest is its key.
    termed = models.BooleanField(default=False, db_default=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        db_table = "analysis_memoryunit"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "source", "target", "digest"], name="analysis_memoryunit_digest"
            )
        ]
        indexes = [
            models.Index(fields=["tenant_id", "-id"], name="analysis_memory_list"),
            models.Index(fields=["tenant_id", "id"], condition=models.Q(termed=False), name="analysis_memory_untermed"),
        ]


class MemoryTerm(TenantModel):
    """That the text of a unit has a term of core/words.py. The database removes it with the unit."""

    id = None  # type: ignore[assignment]
    pk = models.CompositePrimaryKey("tenant_id", "term", "unit_id")
    term = models.TextField(db_collation="C")
    # No foreign key: it would need a unique index more on the units, which nobody else points at.
    unit_id = models.UUIDField()

    class Meta(TenantModel.Meta):
        db_table = "analysis_memoryterm"
        indexes = [models.Index(fields=["tenant_id", "unit_id"], name="analysis_memory_terms")]


class TranslatedDocument(TenantModel):
    """A file that was sent in, and the same file in another language. Both are removed at `expires_at`."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        READY = "ready"
        FAILED = "failed"

    name = models.CharField(max_length=200)
    format = models.CharField(max_length=8)
    source = models.CharField(max_length=LANGUAGE_CHARS)
    target = models.CharField(max_length=LANGUAGE_CHARS)
    detected = models.CharField(max_length=LANGUAGE_CHARS, blank=True)
    model = models.CharField(max_length=120, blank=True)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.QUEUED)
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    size_bytes = models.BigIntegerField()
    segments = models.PositiveIntegerField(default=0)
    storage_name = models.CharField(max_length=200)
    result_name = models.CharField(max_length=200, blank=True)
    job_id = models.UUIDField(null=True)
    created_by = models.CharField(max_length=80, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        db_table = "analysis_translateddocument"
        indexes = [
            models.Index(fields=["tenant_id", "expires_at"], name="analysis_document_expiry"),
            models.Index(fields=["tenant_id", "-id"], name="analysis_document_list"),
        ]
