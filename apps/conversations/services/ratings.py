"""Ratings of messages by visitors."""

from __future__ import annotations

import uuid

from apps.conversations.models import Conversation, Message, Rating
from apps.core.errors import Invalid, NotFound
from apps.core.tenancy import tenant_scope
from apps.events.services import event_record


def rating_set(
    *, tenant_id: uuid.UUID, conversation_id: uuid.UUID, message_id: uuid.UUID, value: int, comment: str = ""
) -> None:
    """Set the rating (1 or -1) of a message that the visitor can see; a second one replaces it. Emits `rating.set`."""
    if value not in (1, -1) or isinstance(value, bool) or len(comment) > 1000:
        raise Invalid("A rating is 1 or -1 with a comment of at most 1,000 characters.", code="rating_invalid")
    with tenant_scope(tenant_id):
        seen = Message.objects.filter(id=message_id, conversation_id=conversation_id, private=False)
        if not seen.exists():
            raise NotFound("There is no such message.")
        Rating.objects.update_or_create(message_id=message_id, defaults={"value": value, "comment": comment})
        event_record(
            type="rating.set",
            subject_type="conversation",
            subject_id=conversation_id,
            data={"message_id": str(message_id), "value": value},
        )


def csat_set(*, tenant_id: uuid.UUID, conversation_id: uuid.UUID, value: int, comment: str = "") -> None:
    """Set how satisfied the visitor was with the whole conversation, 1 to 5. Emits `csat.set`."""
    if value not in (1, 2, 3, 4, 5) or isinstance(value, bool) or len(comment) > 1000:
        raise Invalid("A score is 1 to 5 with a comment of at most 1,000 characters.", code="csat_invalid")
    with tenant_scope(tenant_id):
        changed = Conversation.objects.filter(id=conversation_id).update(csat_value=value, csat_comment=comment)
        if not changed:
            raise NotFound("There is no such conversation.")
        event_record(type="csat.set", subject_type="conversation", subject_id=conversation_id, data={"value": value})
