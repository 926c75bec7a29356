"""Runs of the bot: what was asked, found, decided, checked and said."""

from __future__ import annotations

from django.db import models

from apps.core.bases import TenantModel


class Reply(TenantModel):
    """One run of the bot over the contact messages from `covers_from_seq` to `covers_to_seq` of a conversation.

    At most one run of a conversation is active; messages that arrive meanwhile belong to the next.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        CANCELLED = "cancelled"
        FAILED = "failed"

    conversation = models.ForeignKey("conversations.Conversation", on_delete=models.CASCADE, db_constraint=False)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    covers_from_seq = models.PositiveIntegerField()
    covers_to_seq = models.PositiveIntegerField()
    job_id = models.UUIDField(null=True)
    message_id = models.UUIDField(null=True)
    decision = models.CharField(max_length=10, blank=True)
    reason = models.CharField(max_length=60, blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    why = models.JSONField(default=dict)
    # Name and revision; it stays when `why` is emptied.
    model = models.CharField(max_length=160, blank=True, default="", db_default="")
    # The conversation was resolved since: what failed before it counts no more.
    settled = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "conversation"],
                condition=models.Q(status__in=["queued", "running"]),
                name="reply_one_active",
            ),
            models.UniqueConstraint(fields=["tenant_id", "conversation", "covers_from_seq"], name="reply_covers_once"),
        ]
        indexes = [
            models.Index(
                fields=["tenant_id"], condition=models.Q(status__in=["queued", "running"]), name="reply_active"
            ),
            models.Index(fields=["tenant_id", "message_id"], name="reply_message"),
            # For retention: what still has its `why`, oldest first.
            models.Index(fields=["tenant_id", "finished_at"], condition=~models.Q(why={}), name="reply_why_kept"),
        ]
