"""Plain values of conversations, and their JSON form: one form for the API, the sockets and the webhooks."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel

MAX_TEXT = 10_000
# No message of any channel has more: an e-mail's own words, without what it quotes and without its files. Of a text
# above MAX_TEXT everything but `message_text` gives the beginning, so that pages, frames and models keep their bounds.
MAX_BODY = 100_000
# The kind of every inbox before there were kinds.
FIRST_CHANNEL = "widget"
# Fields that inboxes had before there were kinds, and what the API shows for them where a kind has no such setting.
FIRST_SETTINGS: dict[str, Any] = {"allowed_origins": [], "accent": "#2f5bea", "greeting": "", "suggested_questions": []}
# What another system calls a conversation or a message, e.g. the Message-ID of an e-mail. At four bytes a character it still
# fits an entry of an index (2,704 bytes).
MAX_EXTERNAL_ID = 512
# Files of one message, and their bytes together: what mail servers commonly take.
MAX_ATTACHMENTS = 20
MAX_ATTACHMENTS_BYTES = 25 * 1024 * 1024
MAX_FILE_NAME = 255
MAX_MEDIA_TYPE = 127
# A line of an e-mail has at most 998 characters (RFC 5322, 2.1.1), and a subject is a line.
MAX_SUBJECT = 998
# A display name has no bound of its own; this is what a line holds beside the longest address (254, RFC 5321), generously.
MAX_NAME = 255
MOODS = ("negative", "neutral", "positive")
# What a socket frame holds beside a message's text and a conversation's row. A frame above 256 KiB ends its socket.
MAX_ATTRIBUTES_BYTES = 16 * 1024
MAX_TRANSLATIONS_BYTES = 48 * 1024


@dataclass(frozen=True, slots=True)
class Annotation:
    """What was found out about a message after it was written; "" and None where it could not be.

    `translations` are added to those that the message has.
    """

    language: str = ""
    sentiment: str = ""
    sentiment_score: float | None = None
    intent: str = ""
    translations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChannelKind:
    """A kind of channel, as the app declares it that brings its messages in.

    `settings` validates the settings of an inbox; its JSON form is stored. `max_text` is how many characters a message
    has at most. With `public_token` an inbox gets a token that pages of others name it by.
    """

    name: str
    settings: type[BaseModel]
    max_text: int = MAX_TEXT
    public_token: bool = False


@dataclass(frozen=True, slots=True)
class InboxInfo:
    """An inbox. `settings` are those of its kind of channel; `widget_token` is "" where the kind has none."""

    id: uuid.UUID
    tenant_id: uuid.UUID
    name: str
    channel: str
    settings: dict[str, Any]
    widget_token: str
    locale: str
    bot_enabled: bool
    collections: tuple[str, ...]
    identity_required: bool = False
    identity_issuer: str = ""
    identity_audience: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": str(self.id),
            "name": self.name,
            "channel": self.channel,
            "settings": self.settings,
            "widget_token": self.widget_token,
            **{name: self.settings.get(name, value) for name, value in FIRST_SETTINGS.items()},
            "locale": self.locale,
            "bot_enabled": self.bot_enabled,
            "collections": list(self.collections),
            "identity_required": self.identity_required,
            "identity_issuer": self.identity_issuer,
            "identity_audience": self.identity_audience,
        }


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the host page says its visitor is. The id is proven; name and address where it says so, else only said."""

    id: str
    name: str = ""
    email: str = ""
    name_proven: bool = False
    email_proven: bool = False


@dataclass(frozen=True, slots=True)
class ContactInfo:
    """A contact. `verified`: the id was proven; name and address may still be what the visitor said."""

    id: uuid.UUID
    name: str
    email: str
    verified: bool = False
    name_verified: bool = False
    email_verified: bool = False
    attributes: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": str(self.id),
            "name": self.name,
            "email": self.email,
            "verified": self.verified,
            "name_verified": self.name_verified,
            "email_verified": self.email_verified,
            "attributes": last_within(self.attributes, MAX_ATTRIBUTES_BYTES),
        }


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that comes with a message."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a channel brings with a message: what the other side calls it ("" when it has no name), and its files."""

    external_id: str = ""
    files: tuple[NewFile, ...] = ()


@dataclass(frozen=True, slots=True)
class AttachmentInfo:
    """A file of a message; `sha256` is of its bytes, in hex."""

    id: uuid.UUID
    name: str
    media_type: str
    size_bytes: int
    sha256: str

    def as_dict(self) -> dict[str, Any]:
        body = {"id": str(self.id), "name": self.name, "media_type": self.media_type}
        return {**body, "size_bytes": self.size_bytes, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Person:
    id: uuid.UUID
    name: str

    def as_dict(self) -> dict[str, Any]:
        return {"id": str(self.id), "name": self.name}


@dataclass(frozen=True, slots=True)
class MessageInfo:
    """A message. `prev_public_seq` is the seq before this one for a visitor, who sees no notes.

    `text` has at most MAX_TEXT characters; of a longer one it is the beginning, and `truncated` says so.
    """

    id: uuid.UUID
    conversation_id: uuid.UUID
    seq: int
    prev_public_seq: int
    role: str
    text: str
    private: bool
    citations: list[dict[str, Any]]
    decision: str
    reply_id: uuid.UUID | None
    author: Person | None
    created_at: datetime
    annotation: Annotation = field(default_factory=Annotation)
    original_text: str = ""
    original_language: str = ""
    truncated: bool = False
    external_id: str | None = None
    attachments: tuple[AttachmentInfo, ...] = ()

    def prev_seq(self, *, staff: bool) -> int:
        """Return the seq before this one for the viewer."""
        return self.seq - 1 if staff else self.prev_public_seq

    def as_dict(self, *, staff: bool) -> dict[str, Any]:
        """Return the JSON form; a visitor is not told which member of staff wrote beyond the name."""
        body: dict[str, Any] = {
            "id": str(self.id),
            "conversation_id": str(self.conversation_id),
            "seq": self.seq,
            "prev_seq": self.prev_seq(staff=staff),
            "role": self.role,
            "text": self.text,
            "truncated": self.truncated,
            "attachments": [file.as_dict() for file in self.attachments],
            "citations": self.citations,
            "decision": self.decision or None,
            "author": self.author.as_dict() if staff and self.author else _visitor_author(self.author),
            "created_at": isoformat(self.created_at),
        }
        if staff:
            body["private"] = self.private
            body["external_id"] = self.external_id
            body["reply_id"] = str(self.reply_id) if self.reply_id else None
            body |= self._found()
        return body

    def _found(self) -> dict[str, Any]:
        """What only staff are told: annotations, and the text as the agent wrote it."""
        found, original = self.annotation, None
        if self.original_text:
            original = {"text": self.original_text, "language": self.original_language}
        sentiment = {"label": found.sentiment, "score": found.sentiment_score} if found.sentiment else None
        return {
            "language": found.language or None,
            "sentiment": sentiment,
            "intent": found.intent or None,
            "original": original,
            "translations": last_within(found.translations, MAX_TRANSLATIONS_BYTES),
        }


def _visitor_author(author: Person | None) -> dict[str, Any] | None:
    return {"name": author.name} if author else None


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    id: uuid.UUID
    tenant_id: uuid.UUID
    inbox_id: uuid.UUID
    contact: ContactInfo
    status: str
    handler: str
    assignee: Person | None
    subject: str
    labels: tuple[str, ...]
    last_seq: int
    last_public_seq: int
    last_text: str
    last_role: str
    last_message_at: datetime | None
    waiting_since: datetime | None
    unread: int
    locale: str
    created_at: datetime
    updated_at: datetime
    mood: str = ""
    mood_score: float | None = None
    language: str = ""
    intents: tuple[str, ...] = ()
    first_response_at: datetime | None = None
    resolved_at: datetime | None = None
    external_id: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form, for staff and programs with a key: visitors are not told of it."""
        last = None
        if self.last_message_at:
            last = {"text": self.last_text, "role": self.last_role, "created_at": isoformat(self.last_message_at)}
        return {
            "id": str(self.id),
            "inbox_id": str(self.inbox_id),
            "external_id": self.external_id,
            "contact": self.contact.as_dict(),
            "status": self.status,
            "handler": self.handler,
            "assignee": self.assignee.as_dict() if self.assignee else None,
            "subject": self.subject,
            "labels": list(self.labels),
            "suggested_labels": [intent for intent in self.intents if intent not in self.labels],
            "mood": {"label": self.mood, "score": self.mood_score} if self.mood else None,
            "language": self.language or None,
            "intents": list(self.intents),
            "last_message": last,
            "last_seq": self.last_seq,
            "unread": self.unread,
            "waiting_since": isoformat(self.waiting_since),
            "first_response_at": isoformat(self.first_response_at),
            "resolved_at": isoformat(self.resolved_at),
            "created_at": isoformat(self.created_at),
            "updated_at": isoformat(self.updated_at),
        }


@dataclass(frozen=True, slots=True)
class ConversationState:
    """What a socket compares to see that something happened: the newest seq, of all and of what visitors see, who has the
    conversation, whether its inbox admits proven identities only, when it changed, and what was found out about it."""

    last_seq: int
    last_public_seq: int
    status: str
    handler: str
    assignee_id: uuid.UUID | None
    identity_required: bool
    updated_at: datetime
    mood: str
    language: str
    intents: list[str]


@dataclass(frozen=True, slots=True)
class Visitor:
    """An authenticated visitor. `contact_id` is None until the first message is written."""

    tenant_id: uuid.UUID
    inbox_id: uuid.UUID
    token: str
    contact_id: uuid.UUID | None
    identity: Identity | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    locale: str = ""


@dataclass(frozen=True, slots=True)
class Posted:
    """What `message_post` did. `created` is False when the same client_id was posted before."""

    message: MessageInfo
    created: bool


@dataclass(frozen=True, slots=True)
class DraftInfo:
    id: uuid.UUID
    conversation_id: uuid.UUID
    requested_by_id: uuid.UUID | None
    instruction: str
    status: str
    text: str
    marks: list[dict[str, Any]]
    citations: list[dict[str, Any]]
    error_code: str


def storable(value: object, limit: int) -> str:
    """Return text that the database takes: what a page says of its visitor must not keep them from writing."""
    return str(value).replace("\x00", "").encode("utf-8", "replace").decode()[:limit]


def last_within(items: dict[str, Any], max_bytes: int) -> dict[str, Any]:
    """Return the last items of a dict that fit into `max_bytes` of JSON together, in their order."""
    kept: list[tuple[str, Any]] = []
    size = 2
    for name, value in reversed(items.items()):
        size += len(json.dumps({name: value}, ensure_ascii=False).encode("utf-8", "replace"))
        if size > max_bytes:
            break
        kept.append((name, value))
    return dict(reversed(kept))


def isoformat(value: datetime | None) -> str | None:
    """Return ISO 8601 in UTC with a Z."""
    return value.isoformat().replace("+00:00", "Z") if value else None
