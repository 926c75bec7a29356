"""Posting messages: the row, its sequence number and its event are one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from apps.conversations.attachments import attachments_check, attachments_store, files_remove
from apps.conversations.channels import channel_max_text
from apps.conversations.models import Attachment, Conversation, Inbox, Message, VisitorToken
from apps.conversations.selectors import messages_info
from apps.conversations.services.contacts import contact_of_identity
from apps.conversations.services.terms import message_terms_add
from apps.conversations.services.visitors import LIFETIME, visitor_token_digest
from apps.conversations.types import MAX_BODY, MAX_EXTERNAL_ID, MAX_TEXT, Arrival, Posted, Visitor, storable
from apps.core.clock import now
from apps.core.errors import Conflict, Invalid, NotFound
from apps.core.ids import new_id
from apps.core.tenancy import tenant_scope
from apps.core.texts import is_visible
from apps.events.services import event_record


@dataclass(frozen=True, slots=True)
class NewConversation:
    """What to create when the conversation of a visitor's first message has no row yet."""

    visitor: Visitor


def clean_text(text: object, *, most: int = MAX_TEXT) -> str:
    """Return the text without NUL and surrounding space. Raises Invalid when empty, longer than `most`, or not text."""
    if not isinstance(text, str):
        raise Invalid("A message needs a text.", code="text_invalid")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid("The text has lone surrogates.", code="text_invalid") from None
    text = text.replace("\x00", "").strip()
    if not is_visible(text):
        raise Invalid("A message needs a text.", code="text_empty")
    if len(text) > most:
        raise Invalid(f"A message has at most {most:,} characters.", code="text_too_long")
    return text


def message_post(
    *,
    tenant_id: uuid.UUID,
    conversation_id: uuid.UUID,
    role: str,
    text: str,
    client_id: uuid.UUID | None = None,
    private: bool = False,
    author_id: uuid.UUID | None = None,
    citations: Sequence[dict[str, Any]] = (),
    decision: str = "",
    reply_id: uuid.UUID | None = None,
    new: NewConversation | None = None,
    original: tuple[str, str] = ("", ""),
    arrival: Arrival | None = None,
    actor: str = "",
) -> Posted:
    """Write a message and return it with its seq; the seq is dense, given under the conversation's lock.

    `original` is text and language of what the author wrote, when `text` is a translation of it. `arrival` is what a channel
    brings with it: files, and the name that the other side gives the message.

    Effects: `message.created` (and `conversation.created` for a first message). A contact's message reopens a resolved
    conversation; an agent's public one takes it from the bot.
    Errors:  Invalid (text, files), NotFound (no such conversation and no `new`), Conflict (the client_id was used elsewhere,
             or the external id in this inbox), TooLarge, StorageFull.
    Repeats: the same client_id or external id in the same conversation returns the first message, `created` False.
    """
    arrival = arrival or Arrival()
    attachments_check(arrival.files)
    row = Message(
        role=role,
        text=clean_text(text, most=MAX_BODY),
        private=private,
        citations=list(citations),
        decision=decision,
        client_id=client_id,
        reply_id=reply_id,
        external_id=external_id_check(arrival.external_id),
        author_id=author_id,
        original_text=original[0],
        original_language=original[1],
        attachment_count=len(arrival.files),
    )
    files = attachments_store(tenant_id, arrival.files)
    try:
        posted = _post(tenant_id, conversation_id, row, files, new, actor)
    except BaseException:
        files_remove([file.storage_name for file in files])
        raise
    if not posted.created:
        files_remove([file.storage_name for file in files])
    return posted


def external_id_check(external_id: str) -> str | None:
    """Return a name of another system as it is stored, None for "". Raises Invalid "external_id_invalid"."""
    if len(external_id) > MAX_EXTERNAL_ID or storable(external_id, MAX_EXTERNAL_ID) != external_id:
        raise Invalid(f"An external id has at most {MAX_EXTERNAL_ID} characters.", code="external_id_invalid")
    return external_id or None


def _post(
    tenant_id: uuid.UUID,
    conversation_id: uuid.UUID,
    row: Message,
    files: list[Attachment],
    new: NewConversation | None,
    actor: str,
) -> Posted:
    with tenant_scope(tenant_id):
        conversation, is_new = _locked(conversation_id), False
        if conversation is None:
            if new is None:
                raise NotFound("There is no such conversation.")
            conversation, is_new = _first(conversation_id, new)
        _length_check(conversation, row)
        earlier = None if is_new else _earlier(conversation, row)
        if earlier is not None:
            return Posted(messages_info(tenant_id, [earlier])[0], created=False)
        row.conversation_id, row.seq = conversation.id, conversation.last_seq + 1
        row.prev_public_seq = conversation.last_public_seq
        row.external_inbox_id = conversation.inbox_id if row.external_id else None
        _insert(row)
        for file in files:
            file.message_id = row.id
        Attachment.objects.bulk_create(files)
        _advance(conversation, row)
        data = {"message_id": str(row.id), "seq": row.seq, "role": row.role, "private": row.private}
        event_record(
            type="message.created", subject_type="conversation", subject_id=conversation.id, data=data, actor=actor
        )
        return Posted(messages_info(tenant_id, [row])[0], created=True)


def _length_check(conversation: Conversation, row: Message) -> None:
    """Raise Invalid when a text is longer than the conversation's channel takes."""
    if len(row.text) > MAX_TEXT:
        channel = Inbox.objects.values_list("channel", flat=True).get(id=conversation.inbox_id)
        clean_text(row.text, most=channel_max_text(channel))


def _earlier(conversation: Conversation, row: Message) -> Message | None:
    """Return the message that was posted before under the same name, of this client or of the channel."""
    if row.client_id is not None:
        earlier = Message.objects.filter(conversation_id=conversation.id, client_id=row.client_id).first()
        if earlier is not None and earlier.role != row.role:
            raise Conflict("This client_id was used for another message.", code="client_id_reused")
        if earlier is not None:
            return earlier
    if row.external_id is None:
        return None
    named = Message.objects.filter(external_id=row.external_id, external_inbox_id=conversation.inbox_id).first()
    if named is not None and named.conversation_id != conversation.id:
        raise _external_id_used()
    return named


def _insert(row: Message) -> None:
    if row.external_id is None:
        row.save(force_insert=True)
        return
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise _external_id_used() from None  # at this moment, in another conversation


def _external_id_used() -> Conflict:
    return Conflict("This external id was used in another conversation of the inbox.", code="external_id_used")


def _locked(conversation_id: uuid.UUID) -> Conversation | None:
    return Conversation.objects.select_for_update(of=("self",)).filter(id=conversation_id).first()


def _first(conversation_id: uuid.UUID, new: NewConversation) -> tuple[Conversation, bool]:
    """Create contact, token and conversation of a visitor's first message, or take the ones made a moment ago."""
    visitor = new.visitor
    inbox = Inbox.objects.filter(id=visitor.inbox_id).first()
    if inbox is None:
        raise NotFound("There is no such inbox.")
    for _ in range(2):
        try:
            with transaction.atomic():
                contact_id = _contact_of(visitor, inbox)
                conversation = conversation_row(conversation_id, inbox, contact_id, locale=visitor.locale)
            return conversation, True
        except IntegrityError:
            # A second socket was first, and has committed: of the same visitor, whose conversation is there now, or of
            # the same proven person on another device, whose contact is.
            found = _locked(conversation_id)
            if found is not None:
                return found, False
    raise NotFound("There is no such conversation.")


def _contact_of(visitor: Visitor, inbox: Inbox) -> uuid.UUID:
    if visitor.contact_id is not None:
        return visitor.contact_id
    digest = visitor_token_digest(visitor.token)
    known = VisitorToken.objects.filter(digest=digest).values_list("contact_id", flat=True).first()
    if known is not None:
        return known
    contact_id = contact_of_identity(visitor.identity, visitor.attributes)
    VisitorToken.objects.create(digest=digest, inbox_id=inbox.id, contact_id=contact_id, expires_at=now() + LIFETIME)
    return contact_id


def conversation_row(
    conversation_id: uuid.UUID | None,
    inbox: Inbox,
    contact_id: uuid.UUID,
    *,
    locale: str = "",
    external_id: str | None = None,
) -> Conversation:
    """Insert a conversation in the open scope, with its event."""
    row = Conversation(
        id=conversation_id or new_id(),
        inbox_id=inbox.id,
        contact_id=contact_id,
        locale=locale,
        external_id=external_id,
        handler=Conversation.Handler.BOT if inbox.bot_enabled else Conversation.Handler.PERSON,
        updated_at=now(),
    )
    row.save(force_insert=True)
    event_record(type="conversation.created", subject_type="conversation", subject_id=row.id)
    return row


def _advance(conversation: Conversation, message: Message) -> None:
    """Move the conversation to a new message: sequence, last line, who waits, who answers, when first."""
    at = now()
    conversation.last_seq = message.seq
    conversation.updated_at = at
    changed = ["last_seq", "updated_at"]
    if message_terms_add(conversation, message):
        changed.append("terms_seq")
    if not message.private:
        conversation.last_public_seq = message.seq
        conversation.last_text = message.text[:200]
        conversation.last_role = message.role
        conversation.last_message_at = at
        changed += ["last_public_seq", "last_text", "last_role", "last_message_at"]
    if message.role == Message.Role.SYSTEM and conversation.staff_seen_seq == message.seq - 1:
        conversation.staff_seen_seq = message.seq  # a note of the system alone makes nothing unread
        changed.append("staff_seen_seq")
    if message.role == Message.Role.CONTACT:
        changed += _on_contact(conversation)
    elif message.role == Message.Role.AGENT:
        conversation.staff_seen_seq = message.seq
        changed.append("staff_seen_seq")
        if not message.private:
            changed += _on_agent(conversation, message)
    conversation.save(update_fields=sorted(set(changed)))


def _on_contact(conversation: Conversation) -> list[str]:
    if conversation.status == Conversation.Status.RESOLVED:
        inbox_bot = Inbox.objects.filter(id=conversation.inbox_id).values_list("bot_enabled", flat=True).first()
        conversation.handler = Conversation.Handler.BOT if inbox_bot else Conversation.Handler.PERSON
        conversation.assignee_id = None
    conversation.status, conversation.resolved_at = Conversation.Status.OPEN, None
    if conversation.handler == Conversation.Handler.PERSON and conversation.waiting_since is None:
        conversation.waiting_since = now()
    return ["status", "resolved_at", "handler", "assignee_id", "waiting_since"]


def _on_agent(conversation: Conversation, message: Message) -> list[str]:
    conversation.waiting_since = None
    conversation.first_response_at = conversation.first_response_at or conversation.last_message_at
    conversation.handler = Conversation.Handler.PERSON
    if conversation.assignee_id is None:
        conversation.assignee_id = message.author_id
    return ["waiting_since", "first_response_at", "handler", "assignee_id"]
