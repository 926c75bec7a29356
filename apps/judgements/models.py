"""Judgements: what people, models and checks hold of something. One shape for all of them (docs/adr/0011-judgements.md)."""

from __future__ import annotations

from django.db import models

from apps.core.bases import TenantModel
from apps.judgements.types import MAX_ID, MAX_NAME, MAX_REASON, MAX_VALUE, AuthorKind


class Judgement(TenantModel):
    """What one author holds of one field of one target, now: a second judgement takes the place of the first.

    Target and author are opaque: nothing here points at their rows, and whoever deletes them deletes this
    (`judgements_forget`). `value` is a label or the number as text; `number` is there for fields of numbers.
    """

    target_kind = models.CharField(max_length=MAX_NAME)
    target_id = models.CharField(max_length=MAX_ID)
    field = models.CharField(max_length=MAX_NAME)
    value = models.CharField(max_length=MAX_VALUE)
    number = models.FloatField(null=True)
    author_kind = models.CharField(max_length=10, choices=[(kind.value, kind.value) for kind in AuthorKind])
    author_id = models.CharField(max_length=MAX_ID, blank=True)
    reason = models.CharField(max_length=MAX_REASON, blank=True)
    judged_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "target_kind", "target_id", "field", "author_kind", "author_id"],
                name="judgement_once",
            )
        ]
        indexes = [
            models.Index(fields=["tenant_id", "target_kind", "field", "judged_at", "id"], name="judgement_time"),
            models.Index(fields=["tenant_id", "author_kind", "author_id"], name="judgement_author"),
        ]
