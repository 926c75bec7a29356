"""Reads on the bot's runs."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Max

from apps.assistant.models import Reply
from apps.core.errors import NotFound
from apps.core.tenancy import tenant_scope


def reply_active(*, tenant_id: uuid.UUID, conversation_id: uuid.UUID) -> uuid.UUID | None:
    """Return the id of the conversation's queued or running reply, or None."""
    with tenant_scope(tenant_id):
        active = Reply.objects.filter(conversation_id=conversation_id, status__in=["queued", "running"])
        return active.values_list("id", flat=True).first()


def covered_seq(conversation_id: uuid.UUID) -> int:
    """Return the last seq that a run covers, in the open scope."""
    return Reply.objects.filter(conversation_id=conversation_id).aggregate(last=Max("covers_to_seq"))["last"] or 0


def abstentions_in_a_row(conversation_id: uuid.UUID) -> int:
    """Return how many of the last finished runs found no answer, since the conversation was last resolved.

    Small talk and complaints are skipped. In the open scope.
    """
    rows = Reply.objects.filter(conversation_id=conversation_id, status="done", settled=False).order_by(
        "-covers_from_seq"
    )
    count = 0
    for decision, reason in rows.values_list("decision", "reason")[:10]:
        if reason.startswith("small_talk_") or reason in ("complaint", "empty"):
            continue
        if decision != "abstain":
            break
        count += 1
    return count


def replies_active_count() -> int:
    """Return how many runs are queued or running in the open scope's organisation."""
    return Reply.objects.filter(status__in=["queued", "running"]).count()


def reply_state(*, tenant_id: uuid.UUID, conversation_id: uuid.UUID, reply_id: uuid.UUID) -> dict[str, Any] | None:
    """Return status and code of a reply of this conversation, or None."""
    with tenant_scope(tenant_id):
        row = Reply.objects.filter(id=reply_id, conversation_id=conversation_id).first()
        return {"status": row.status, "code": row.error_code} if row else None


def reply_why(*, tenant_id: uuid.UUID, message_id: uuid.UUID) -> dict[str, Any]:
    """Return why the bot said a message: decision, passages, checks, model, times; `kept` is False
    for an old one, of which decision, reason and model remain. Raises NotFound."""
    with tenant_scope(tenant_id):
        row = Reply.objects.filter(message_id=message_id).first()
        if row is None:
            raise NotFound("The bot did not write this message.")
        # Emptied after RETENTION_WHY_DAYS; what has a column of its own stays.
        stays = {"id": str(row.id), "decision": row.decision, "reason": row.reason, "model": row.model}
        return {**stays, "kept": bool(row.why), **row.why}
