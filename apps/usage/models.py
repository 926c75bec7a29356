"""What is kept to say "no", or to say the same thing twice."""

from __future__ import annotations

from django.db import models

from apps.core.bases import TenantModel


class IdempotencyRecord(TenantModel):
    """The answer to a creating request, kept 24 hours under its Idempotency-Key."""

    principal = models.CharField(max_length=80)
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant_id", "principal", "key"], name="idempotency_once")]
        indexes = [models.Index(fields=["created_at"], name="idempotency_age")]
