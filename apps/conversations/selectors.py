"""Reads on inboxes, conversations, messages and drafts. All return plain values."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence

from django.db.models import QuerySet

from apps.accounts.selectors import member_names
from apps.conversations.attachments import attachment_info
from apps.conversations.models import Attachment, Conversation, ConversationTag, Draft, Inbox, Message
from apps.conversations.search import conversations_saying
from apps.conversations.types import (
    MAX_TEXT,
    Annotation,
    AttachmentInfo,
    ContactInfo,
    ConversationInfo,
    ConversationState,
    DraftInfo,
    InboxInfo,
    MessageInfo,
    Person,
)
from apps.core.errors import NotFound
from apps.core.pagination import paginate
from apps.core.tenancy import tenant_scope


def inbox_info(row: Inbox) -> InboxInfo:
    """Return the plain value of a row."""
    return InboxInfo(
        id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        channel=row.channel,
        settings=row.channel_settings,
        widget_token=row.widget_token or "",
        locale=row.locale,
        bot_enabled=row.bot_enabled,
        collections=tuple(row.collections),
        identity_required=row.identity_required,
        identity_issuer=row.identity_issuer,
        identity_audience=row.identity_audience,
    )


def inbox_get(*, tenant_id: uuid.UUID, inbox_id: uuid.UUID) -> InboxInfo:
    """Return one inbox. Raises NotFound."""
    with tenant_scope(tenant_id):
        row = Inbox.objects.filter(id=inbox_id).first()
        if row is None:
            raise NotFound("There is no such inbox.")
        return inbox_info(row)


def inboxes_list(*, tenant_id: uuid.UUID) -> list[InboxInfo]:
    """Return the organisation's inboxes, oldest first (at most 100)."""
    with tenant_scope(tenant_id):
        return [inbox_info(row) for row in Inbox.objects.order_by("created_at")[:100]]


def message_info(row: Message, author: Person | None = None, files: Sequence[AttachmentInfo] = ()) -> MessageInfo:
    """Return the plain value of a row."""
    return MessageInfo(
        id=row.id,
        conversation_id=row.conversation_id,
        seq=row.seq,
        prev_public_seq=row.prev_public_seq,
        role=row.role,
        text=row.text[:MAX_TEXT],
        private=row.private,
        citations=row.citations,
        decision=row.decision,
        reply_id=row.reply_id,
        author=author,
        created_at=row.created_at,
        annotation=Annotation(row.language, row.sentiment, row.sentiment_score, row.intent, row.translations),
        original_text=row.original_text,
        original_language=row.original_language,
        truncated=len(row.text) > MAX_TEXT,
        external_id=row.external_id,
        attachments=tuple(files),
    )


def messages_info(tenant_id: uuid.UUID, rows: Sequence[Message]) -> list[MessageInfo]:
    """Return the plain values of rows, with the names of their authors and their files."""
    ids = {row.author_id for row in rows if row.author_id}
    names = member_names(tenant_id=tenant_id, user_ids=ids) if ids else {}
    files = _files_of([row.id for row in rows if row.attachment_count])
    return [
        message_info(
            row,
            Person(row.author_id, names.get(row.author_id, "")) if row.author_id else None,
            files.get(row.id, ()),
        )
        for row in rows
    ]


def _files_of(ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[AttachmentInfo]]:
    found: dict[uuid.UUID, list[AttachmentInfo]] = {}
    if ids:
        for row in Attachment.objects.filter(message_id__in=ids).order_by("message_id", "position"):
            found.setdefault(row.message_id, []).append(attachment_info(row))
    return found


def message_text(*, tenant_id: uuid.UUID, message_id: uuid.UUID) -> str:
    """Return the whole text of a message, at most MAX_BODY characters. Raises NotFound."""
    with tenant_scope(tenant_id):
        found = Message.objects.filter(id=message_id).values_list("text", flat=True).first()
        if found is None:
            raise NotFound("There is no such message.")
        return found


def messages_after(
    *, tenant_id: uuid.UUID, conversation_id: uuid.UUID, after_seq: int = 0, limit: int = 100, staff: bool
) -> tuple[list[MessageInfo], bool]:
    """Return up to `limit` messages with seq > after_seq in order, and whether there are more. Visitors see no notes."""
    with tenant_scope(tenant_id):
        rows = Message.objects.filter(conversation_id=conversation_id, seq__gt=after_seq)
        if not staff:
            rows = rows.filter(private=False)
        found = list(rows.order_by("seq")[: limit + 1])
        return messages_info(tenant_id, found[:limit]), len(found) > limit


def messages_before(
    *, tenant_id: uuid.UUID, conversation_id: uuid.UUID, before_seq: int, limit: int, public_only: bool = True
) -> list[MessageInfo]:
    """Return the last `limit` messages with seq < before_seq, oldest first."""
    with tenant_scope(tenant_id):
        rows = Message.objects.filter(conversation_id=conversation_id, seq__lt=before_seq)
        if public_only:
            rows = rows.filter(private=False)
        return [message_info(row) for row in reversed(rows.order_by("-seq")[:limit])]


def answered_seq(*, tenant_id: uuid.UUID, conversation_id: uuid.UUID) -> int:
    """Return the seq of the last message that a person of the organisation sent to the visitor, or 0."""
    with tenant_scope(tenant_id):
        sent = Message.objects.filter(conversation_id=conversation_id, role=Message.Role.AGENT, private=False)
        return sent.order_by("-seq").values_list("seq", flat=True).first() or 0


def messages_by_ids(*, tenant_id: uuid.UUID, ids: Collection[uuid.UUID]) -> list[MessageInfo]:
    """Return those of at most 100 messages that there are, in no order and without the names of authors."""
    with tenant_scope(tenant_id):
        return [message_info(row) for row in Message.objects.filter(id__in=list(ids)[:100])]


def message_ids(*, tenant_id: uuid.UUID, after: uuid.UUID | None = None, limit: int = 1000) -> list[uuid.UUID]:
    """Return a page of the ids of all messages but the system's, oldest first."""
    with tenant_scope(tenant_id):
        rows = Message.objects.exclude(role=Message.Role.SYSTEM)
        rows = rows.filter(id__gt=after) if after else rows
        return list(rows.order_by("id").values_list("id", flat=True)[:limit])


def message_get(*, tenant_id: uuid.UUID, message_id: uuid.UUID) -> MessageInfo:
    """Return one message. Raises NotFound."""
    with tenant_scope(tenant_id):
        row = Message.objects.filter(id=message_id).first()
        if row is None:
            raise NotFound("There is no such message.")
        return messages_info(tenant_id, [row])[0]


def conversation_info(row: Conversation, assignee_name: str = "") -> ConversationInfo:
    """Return the plain value of a row whose contact is loaded."""
    contact = row.contact
    return ConversationInfo(
        id=row.id,
        tenant_id=row.tenant_id,
        inbox_id=row.inbox_id,
        contact=ContactInfo(
            contact.id,
            contact.name,
            contact.email,
            contact.verified,
            contact.name_verified,
            contact.email_verified,
            contact.attributes,
        ),
        status=row.status,
        handler=row.handler,
        assignee=Person(row.assignee_id, assignee_name) if row.assignee_id else None,
        subject=row.subject,
        labels=tuple(row.labels),
        last_seq=row.last_seq,
        last_public_seq=row.last_public_seq,
        last_text=row.last_text,
        last_role=row.last_role,
        last_message_at=row.last_message_at,
        waiting_since=row.waiting_since,
        unread=max(0, row.last_seq - row.staff_seen_seq),
        locale=row.locale,
        created_at=row.created_at,
        updated_at=row.updated_at,
        mood=row.mood,
        mood_score=row.mood_score,
        language=row.language,
        intents=tuple(row.intents),
        first_response_at=row.first_response_at,
        resolved_at=row.resolved_at,
        external_id=row.external_id,
    )


def _with_assignees(tenant_id: uuid.UUID, rows: Sequence[Conversation]) -> list[ConversationInfo]:
    ids = {row.assignee_id for row in rows if row.assignee_id}
    names = member_names(tenant_id=tenant_id, user_ids=ids) if ids else {}
    return [conversation_info(row, names.get(row.assignee_id, "") if row.assignee_id else "") for row in rows]


def conversation_get(*, tenant_id: uuid.UUID, conversation_id: uuid.UUID) -> ConversationInfo:
    """Return one conversation. Raises NotFound, for a foreign one too."""
    with tenant_scope(tenant_id):
        row = Conversation.objects.select_related("contact").filter(id=conversation_id).first()
        if row is None:
            raise NotFound("There is no such conversation.")
        return _with_assignees(tenant_id, [row])[0]


def conversations_by_ids(*, tenant_id: uuid.UUID, ids: Collection[uuid.UUID]) -> list[ConversationInfo]:
    """Return those of at most 100 conversations that there are, in no order."""
    with tenant_scope(tenant_id):
        rows = list(Conversation.objects.select_related("contact").filter(id__in=list(ids)[:100]))
        return _with_assignees(tenant_id, rows)


def conversation_states(*, tenant_id: uuid.UUID, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, ConversationState]:
    """Return the states of those conversations that there are, in one query; at most 500 ids."""
    with tenant_scope(tenant_id):
        rows = Conversation.objects.filter(id__in=list(ids)[:500])
        found = rows.values_list(
            "id",
            "last_seq",
            "last_public_seq",
            "status",
            "handler",
            "assignee_id",
            "inbox__identity_required",
            "updated_at",
            "mood",
            "language",
            "intents",
        )
        return {row[0]: ConversationState(*row[1:]) for row in found}


def conversations_list(
    *,
    tenant_id: uuid.UUID,
    status: str = "",
    handler: str = "",
    assignee: uuid.UUID | str | None = None,
    label: str = "",
    mood: str = "",
    language: str = "",
    intent: str = "",
    external_id: str = "",
    q: str = "",
    cursor: str = "",
    limit: int = 50,
) -> tuple[list[ConversationInfo], str | None]:
    """Return a page of conversations, last changed first. `assignee` is a user id or "none"; `q` is searched
    in messages, contact names and addresses: all of its words, each as the beginning of one."""
    with tenant_scope(tenant_id):
        rows = Conversation.objects.select_related("contact")
        # A program that asks for its own name of a conversation wants to know of one without messages too.
        rows = rows.filter(external_id=external_id) if external_id else rows.filter(last_seq__gt=0)
        if status:
            rows = rows.filter(status=status)
        if handler:
            rows = rows.filter(handler=handler)
        if assignee == "none":
            rows = rows.filter(assignee=None)
        elif assignee:
            rows = rows.filter(assignee_id=uuid.UUID(str(assignee)))
        if label:
            rows = rows.filter(id__in=_tagged(ConversationTag.Kind.LABEL, label))
        if mood:
            rows = rows.filter(mood=mood)
        if language:
            rows = rows.filter(language=language)
        if intent:
            rows = rows.filter(id__in=_tagged(ConversationTag.Kind.INTENT, intent))
        if q:
            rows = conversations_saying(rows, q)
        page, following = paginate(rows, cursor=cursor, limit=limit, key="updated_at")
        return _with_assignees(tenant_id, page), following


def _tagged(kind: str, name: str) -> QuerySet[ConversationTag, uuid.UUID]:
    """Return the ids of the conversations with a label or an intent."""
    return ConversationTag.objects.filter(kind=kind, name=name).values_list("conversation_id", flat=True)


def draft_info(row: Draft) -> DraftInfo:
    """Return the plain value of a row."""
    return DraftInfo(
        id=row.id,
        conversation_id=row.conversation_id,
        requested_by_id=row.requested_by_id,
        instruction=row.instruction,
        status=row.status,
        text=row.text,
        marks=row.marks,
        citations=row.citations,
        error_code=row.error_code,
    )


def draft_get(*, tenant_id: uuid.UUID, draft_id: uuid.UUID) -> DraftInfo:
    """Return one draft. Raises NotFound."""
    with tenant_scope(tenant_id):
        row = Draft.objects.filter(id=draft_id).first()
        if row is None:
            raise NotFound("There is no such draft.")
        return draft_info(row)
