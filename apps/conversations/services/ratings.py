"""Judgements of visitors: thumbs on messages, the score of a conversation."""

from __future__ import annotations

import uuid

from apps.conversations.models import Conversation, Message, Rating
from apps.conversations.services.judgements import CONVERSATION, CSAT, MESSAGE, THUMBS, contact_author
from apps.core.errors import Invalid, NotFound
from apps.core.tenancy import tenant_scope
from apps.events.services import event_record
from apps.judgements.services import judge
from apps.judgements.types import Verdict


def rating_set(
    *, tenant_id: uuid.UUID, conversation_id: uuid.UUID, message_id: uuid.UUID, value: int, comment: str = ""
) -> None:
    """Set the rating (1 or -1) of a message that the visitor can see; a second one replaces it.

    Effects: the judgement `thumbs` of the message by the contact, and `rating.set`.
    """
    if value not in (1, -1) or isinstance(value, bool) or len(comment) > 1000:
        raise Invalid("A rating is 1 or -1 with a comment of at most 1,000 characters.", code="rating_invalid")
    with tenant_scope(tenant_id):
        seen = Message.objects.filter(id=message_id, conversation_id=conversation_id, private=False)
        contact_id = seen.values_list("conversation__contact_id", flat=True).first()
        if contact_id is None:
            raise NotFound("There is no such message.")
        # What a process of the version before has kept is older than this.
        Rating.objects.filter(message_id=message_id).delete()
        verdict = Verdict(str(message_id), value, contact_author(contact_id), comment)
        judge(tenant_id=tenant_id, target_kind=MESSAGE, field=THUMBS, verdict=verdict)
        event_record(
            type="rating.set",
            subject_type="conversation",
            subject_id=conversation_id,
            data={"message_id": str(message_id), "value": value},
        )


def csat_set(*, tenant_id: uuid.UUID, conversation_id: uuid.UUID, value: int, comment: str = "") -> None:
    """Set how satisfied the visitor was with the whole conversation, 1 to 5; a second score replaces the first.

    Effects: the judgement `csat` of the conversation by the contact, and `csat.set`.
    """
    if value not in (1, 2, 3, 4, 5) or isinstance(value, bool) or len(comment) > 1000:
        raise Invalid("A score is 1 to 5 with a comment of at most 1,000 characters.", code="csat_invalid")
    with tenant_scope(tenant_id):
        rows = Conversation.objects.filter(id=conversation_id)
        contact_id = rows.values_list("contact_id", flat=True).first()
        if contact_id is None:
            raise NotFound("There is no such conversation.")
        # What a process of the version before has kept is older than this.
        rows.filter(csat_value__isnull=False).update(csat_value=None, csat_comment="")
        verdict = Verdict(str(conversation_id), value, contact_author(contact_id), comment)
        judge(tenant_id=tenant_id, target_kind=CONVERSATION, field=CSAT, verdict=verdict)
        event_record(type="csat.set", subject_type="conversation", subject_id=conversation_id, data={"value": value})
