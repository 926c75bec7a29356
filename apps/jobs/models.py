"""Durable work. `JobDispatch` is what the sweeper may read without a tenant: ids, times and states, nothing else."""

from __future__ import annotations

from django.db import models

from apps.core.bases import TenantModel


class Job(TenantModel):
    """What to do and how far it is. The state that decides who runs it is in JobDispatch, under the same id."""

    kind = models.CharField(max_length=60)
    payload = models.JSONField(default=dict)
    unique_key = models.CharField(max_length=120, blank=True)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    note = models.CharField(max_length=200, blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "kind", "unique_key"],
                condition=~models.Q(unique_key=""),
                name="job_unique_key",
            )
        ]
        indexes = [
            models.Index(fields=["tenant_id"], name="job_organization"),
            models.Index(
                fields=["tenant_id", "finished_at"], condition=models.Q(finished_at__isnull=False), name="job_finished"
            ),
        ]


class JobDispatch(models.Model):
    """Claim, lease and retry state of a job."""

    read_before_tenant = "the sweeper looks for the jobs of all organisations"

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"
        DEAD = "dead"

    job_id = models.UUIDField(primary_key=True)
    tenant_id = models.UUIDField()
    queue = models.CharField(max_length=20)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    cancel_requested = models.BooleanField(default=False)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    next_attempt_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=models.Q(status__in=["queued", "running"]),
                name="job_dispatch_due",
            ),
            # Both for `job_pick`: whose jobs wait, and how many of each organisation run.
            models.Index(
                fields=["queue", "tenant_id", "next_attempt_at"],
                condition=models.Q(status="queued", attempts=0),
                name="job_dispatch_fresh",
            ),
            models.Index(
                fields=["queue", "tenant_id"], condition=models.Q(status="running"), name="job_dispatch_running"
            ),
            models.Index(fields=["tenant_id"], name="job_dispatch_organization"),
        ]
