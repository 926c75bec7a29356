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
    # Names of the handlers that the writing code knew: a dispatcher that knows fewer keeps the rest. None before 0003.
    handlers = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["tenant_id", "type", "created_at"], name="event_type_time")]


class OutboxEntry(models.Model):
    """An event that was not parted into deliveries yet. Ids, times and states only: it has no tenant wall.

    `state` is `pending`, or `unknown` for an event whose type the dispatcher does not know.
    """

    read_before_tenant = "the dispatcher takes the entries of all organisations"

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.UUIDField()
    event_id = models.UUIDField(unique=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=10, default="pending")
    next_attempt_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["state", "next_attempt_at", "id"], name="outbox_due")]


class Delivery(models.Model):
    """One event on its way to one handler. It is deleted, with the handler's effects, when the handler has returned.

    Read before an organisation is known, like OutboxEntry: ids, names, times and states only. Inside a scope its policy
    shows the organisation's own rows alone.
    """

    read_before_tenant = "the dispatcher takes the deliveries of all organisations"

    MAX_NAME = 64

    class State(models.TextChoices):
        PENDING = "pending"
        DEAD = "dead"
        UNKNOWN = "unknown"

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.UUIDField()
    event_id = models.UUIDField()
    subject_id = models.UUIDField()
    handler = models.CharField(max_length=MAX_NAME)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    # Counted when an attempt begins, so that a handler that ends its process is counted too.
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    error = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event_id", "handler"], name="delivery_once")]
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=models.Q(state="pending"), name="delivery_due"),
            models.Index(fields=["subject_id", "handler"], condition=models.Q(state="pending"), name="delivery_lane"),
            models.Index(fields=["state", "created_at"], condition=~models.Q(state="pending"), name="delivery_kept"),
        ]


class AuditEntry(TenantModel):
    """A security-relevant action: who, what, when, where. The application role cannot change or delete it."""

    action = models.CharField(max_length=60)
    actor = models.CharField(max_length=80, blank=True)
    target = models.CharField(max_length=120, blank=True)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["tenant_id", "-created_at"], name="audit_time")]
