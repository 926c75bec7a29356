"""The append-only log: events, the outbox that delivers them, and the audit trail."""

from __future__ import annotations

from django.db import models

from apps.core.bases import TenantModel


class Event(TenantModel):
    """Something that happened, written in the transaction that made it happen."""

    type = models.CharField(max_length=60)
    subject_type = models.CharField(max_length=40)
    subject_id = models.UUIDField()
    data = models.JSONField(default=dict)
    actor = models.CharField(max_length=80, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["tenant_id", "type", "created_at"], name="event_type_time")]


class OutboxEntry(models.Model):
    """An event that has not been handed to every handler yet. Ids, times and states only: it has no tenant wall."""

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.UUIDField()
    event_id = models.UUIDField(unique=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=10, default="pending")
    next_attempt_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["state", "next_attempt_at", "id"], name="outbox_due")]


class AuditEntry(TenantModel):
    """A security-relevant action: who, what, when, where. The application role cannot change or delete it."""

    action = models.CharField(max_length=60)
    actor = models.CharField(max_length=80, blank=True)
    target = models.CharField(max_length=120, blank=True)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["tenant_id", "-created_at"], name="audit_time")]
