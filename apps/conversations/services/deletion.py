"""Deleting conversations and contacts with all that is theirs: messages, files, drafts, judgements, answers of the bot.

Rows that point at a conversation go with it by the database's own keys. Events keep ids and times until their age ends them;
texts in them are taken out.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection

from django.db import transaction

from apps.conversations.attachments import files_remove
from apps.conversations.models import Attachment, Contact, Conversation, Draft, Message
from apps.conversations.services.judgements import CONVERSATION, DRAFT, MESSAGE, contact_author
from apps.core.errors import NotFound
from apps.core.tenancy import tenant_scope
from apps.events.services import audit_record, event_record, events_blank
from apps.judgements.services import judgements_forget, judgements_forget_author

# Conversations of a contact in one transaction.
AT_ONCE = 20


def conversation_delete(*, tenant_id: uuid.UUID, conversation_id: uuid.UUID, actor: str) -> None:
    """Delete a conversation for good; its contact stays. Emits `conversation.deleted`, writes an audit row.

    Raises NotFound. Files are removed after the commit.
    """
    with tenant_scope(tenant_id):
        if not _delete([conversation_id]):
            raise NotFound("There is no such conversation.")
        audit_record(action="conversation.deleted", actor=actor, target=str(conversation_id))


def contact_delete(*, tenant_id: uuid.UUID, contact_id: uuid.UUID, actor: str) -> None:
    """Delete a contact with all conversations, for good, some in a transaction: what is killed half-way is done by asking
    again. Raises NotFound. Writes an audit row, which names the contact by its id alone."""
    with tenant_scope(tenant_id):
        if not Contact.objects.filter(id=contact_id).exists():
            raise NotFound("There is no such contact.")
        audit_record(action="contact.deleted", actor=actor, target=str(contact_id))
    while True:
        with tenant_scope(tenant_id):
            # Under the contact's lock no conversation of theirs begins (its key points there).
            person = Contact.objects.select_for_update().filter(id=contact_id).first()
            rows = Conversation.objects.filter(contact_id=contact_id)
            some = list(rows.order_by("id").values_list("id", flat=True)[:AT_ONCE])
            _delete(some)
            if len(some) < AT_ONCE:
                judgements_forget_author(contact_author(contact_id))
                if person is not None:
                    Contact.objects.filter(id=contact_id)._raw_delete("default")
                return


def _delete(ids: Collection[uuid.UUID]) -> int:
    """Delete conversations of the open scope; returns how many there were."""
    rows = Conversation.objects.select_for_update(of=("self",)).filter(id__in=ids).order_by("id")
    known = list(rows.values_list("id", "created_at"))
    found = [conversation_id for conversation_id, _ in known]
    if not known:
        return 0
    names = list(Attachment.objects.filter(message__conversation_id__in=found).values_list("storage_name", flat=True))
    said = Message.objects.filter(conversation_id__in=found).values_list("id", flat=True)
    drafted = Draft.objects.filter(conversation_id__in=found).values_list("id", flat=True)
    for kind, targets in ((MESSAGE, said), (DRAFT, drafted), (CONVERSATION, found)):
        judgements_forget(target_kind=kind, target_ids=targets)
    # By the database's keys: nothing of it is read first.
    Conversation.objects.filter(id__in=found)._raw_delete("default")
    # Subjects and labels stand in these; what other events hold are ids, numbers and states.
    events_blank(type="conversation.updated", subject_ids=found, since=min(began for _, began in known))
    for conversation_id in found:
        event_record(type="conversation.deleted", subject_type="conversation", subject_id=conversation_id)
    transaction.on_commit(lambda: files_remove(names))
    return len(found)
