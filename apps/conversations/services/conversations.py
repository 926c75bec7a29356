"""Writes on conversations."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import IntegrityError, transaction

from apps.accounts.access import access_member
from apps.conversations.identity import identity_check, identity_proven
from apps.conversations.models import Conversation, ConversationTag, Inbox, Message
from apps.conversations.selectors import conversation_get
from apps.conversations.services.contacts import contact_create, contact_of_identity
from apps.conversations.services.messages import conversation_row, external_id_check
from apps.conversations.services.tags import conversation_tags_set
from apps.conversations.types import ConversationInfo
from apps.core.clock import now
from apps.core.errors import Conflict, Invalid, NotFound
from apps.core.tenancy import tenant_scope
from apps.events.services import event_record

CHANGEABLE = frozenset({"status", "handler", "assignee_id", "labels", "subject"})


def conversation_create(
    *,
    tenant_id: uuid.UUID,
    contact: dict[str, str],
    identity: object = None,
    inbox_id: uuid.UUID | None = None,
    external_id: str = "",
    actor: str = "",
) -> ConversationInfo:
    """Create a conversation over the API, with a new contact or that of a proven identity.

    `external_id` is what another system calls it, once in an inbox.

    Errors: NotFound (an inbox that is missing or foreign), Forbidden (a wrong proof, or none where the inbox wants one),
            Conflict "external_id_used".
    """
    named = external_id_check(external_id)
    with tenant_scope(tenant_id):
        inboxes = Inbox.objects.filter(id=inbox_id) if inbox_id else Inbox.objects.order_by("created_at")
        inbox = inboxes.first()
        if inbox is None:
            raise NotFound("There is no such inbox.", code="inbox_not_found")
        if named and Conversation.objects.filter(external_id=named, inbox_id=inbox.id).exists():
            raise _external_id_used()
        proven = identity_proven(inbox, identity)
        identity_check(inbox, proven is not None)
        if proven is None:
            person = contact_create(name=contact.get("name", ""), email=contact.get("email", ""))
        else:
            person = contact_of_identity(proven, {})
        try:
            with transaction.atomic():
                row = conversation_row(None, inbox, person, external_id=named)
        except IntegrityError:
            if named is None:
                raise
            raise _external_id_used() from None  # at this moment
        return conversation_get(tenant_id=tenant_id, conversation_id=row.id)


def _external_id_used() -> Conflict:
    return Conflict("The inbox has a conversation with this external id.", code="external_id_used")


def conversation_update(
    *, tenant_id: uuid.UUID, conversation_id: uuid.UUID, changes: dict[str, Any], actor: str
) -> ConversationInfo:
    """Change status, handler, assignee, labels or subject; returns the conversation.

    Effects: `conversation.updated` with the changed fields. Giving a conversation to a member takes it from the bot.
             Resolving sets `resolved_at` and ends the wait; opening again takes `resolved_at` back.
    Errors:  NotFound (conversation or member, foreign alike), Invalid (unknown field or value).
    """
    if set(changes) - CHANGEABLE:
        raise Invalid("Only status, handler, assignee_id, labels and subject can change.", code="field_unknown")
    with tenant_scope(tenant_id):
        row = Conversation.objects.select_for_update(of=("self",)).filter(id=conversation_id).first()
        if row is None:
            raise NotFound("There is no such conversation.")
        before = {name: getattr(row, name) for name in CHANGEABLE}
        if changes.get("assignee_id"):
            changes = {"handler": Conversation.Handler.PERSON, **changes}
            changes["assignee_id"] = access_member(tenant_id, changes["assignee_id"]).user_id
        for name, value in changes.items():
            setattr(row, name, value)
        if row.handler == Conversation.Handler.BOT:
            row.assignee_id = row.waiting_since = None
        elif before["handler"] == Conversation.Handler.BOT and row.last_role == Message.Role.CONTACT:
            row.waiting_since = row.waiting_since or now()  # nobody has answered the last message
        _resolved(row, before["status"])
        row.updated_at = now()
        row.save()
        if row.labels != before["labels"]:
            conversation_tags_set(conversation=row, kind=ConversationTag.Kind.LABEL, names=row.labels)
        changed = {name: str(getattr(row, name)) for name in CHANGEABLE if getattr(row, name) != before[name]}
        if changed:
            _tell(conversation_id, {"changed": changed}, actor)
        return conversation_get(tenant_id=tenant_id, conversation_id=conversation_id)


def _resolved(row: Conversation, before: str) -> None:
    """Note when a conversation is resolved. Opened again by staff, an unanswered contact of a person waits anew."""
    if row.status == Conversation.Status.RESOLVED:
        row.waiting_since = None
        if before != Conversation.Status.RESOLVED:
            row.resolved_at = now()
    elif before == Conversation.Status.RESOLVED:
        row.resolved_at = None
        if row.handler == Conversation.Handler.PERSON and row.last_role == Message.Role.CONTACT:
            row.waiting_since = now()


def conversation_handoff(*, tenant_id: uuid.UUID, conversation_id: uuid.UUID, reason: str, actor: str) -> bool:
    """Give the conversation to people; returns False when people have it already. Emits `conversation.updated`."""
    with tenant_scope(tenant_id):
        row = Conversation.objects.select_for_update(of=("self",)).filter(id=conversation_id).first()
        if row is None:
            raise NotFound("There is no such conversation.")
        if row.handler == Conversation.Handler.PERSON:
            return False
        row.handler, row.waiting_since, row.updated_at = Conversation.Handler.PERSON, now(), now()
        row.status, row.resolved_at = Conversation.Status.OPEN, None
        row.save(update_fields=["handler", "waiting_since", "updated_at", "status", "resolved_at"])
        _tell(conversation_id, {"changed": {"handler": "person"}, "reason": reason}, actor)
        return True


def conversation_lock(*, tenant_id: uuid.UUID, conversation_id: uuid.UUID) -> ConversationInfo:
    """Lock the conversation until the caller's transaction ends, and return it: no message is posted meanwhile."""
    with tenant_scope(tenant_id):
        if not Conversation.objects.select_for_update(of=("self",)).filter(id=conversation_id).exists():
            raise NotFound("There is no such conversation.")
        return conversation_get(tenant_id=tenant_id, conversation_id=conversation_id)


def conversation_seen(*, tenant_id: uuid.UUID, conversation_id: uuid.UUID, seq: int) -> None:
    """Note that staff have read up to `seq`; never moves back."""
    with tenant_scope(tenant_id):
        Conversation.objects.filter(id=conversation_id, staff_seen_seq__lt=seq, last_seq__gte=seq).update(
            staff_seen_seq=seq
        )


def _tell(conversation_id: uuid.UUID, data: dict[str, Any], actor: str) -> None:
    event_record(
        type="conversation.updated", subject_type="conversation", subject_id=conversation_id, data=data, actor=actor
    )
