"""Conversation routes of /api/v1."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse, HttpRequest
from ninja import Router

from apps.accounts.access import principal_of
from apps.conversations.access import (
    access_attachment_by_id,
    access_contact_admitted,
    access_contact_by_id,
    access_conversation_by_id,
    access_message_by_id,
)
from apps.conversations.schemas import ConversationIn, ConversationPatch, InboxIn, InboxPatch, MessageIn
from apps.conversations.selectors import conversations_list, inboxes_list, message_text, messages_after
from apps.conversations.services import (
    clean_text,
    contact_delete,
    conversation_create,
    conversation_delete,
    conversation_seen,
    conversation_update,
    inbox_create,
    inbox_identity_secret_renew,
    inbox_update,
    message_post,
)
from apps.conversations.types import FIRST_SETTINGS, MAX_EXTERNAL_ID, MOODS, Arrival
from apps.core.errors import Invalid, NotFound
from apps.core.ids import parse_id
from apps.core.pagination import page_limit
from apps.usage.services import idempotent

router = Router(tags=["conversations"])


@router.post("", response={201: dict})
@idempotent
def conversation_add(request: HttpRequest, body: ConversationIn) -> tuple[int, dict[str, Any]]:
    """Open a conversation for a contact, in the named inbox or the first one.

    An inbox that admits proven identities only (`identity_required`) wants `contact.identity` here too.
    """
    principal = principal_of(request)
    principal.require("conversations:write")
    inbox_id = None
    if body.inbox is not None:
        inbox_id = parse_id(body.inbox)
        if inbox_id is None:
            raise NotFound("There is no such inbox.", code="inbox_not_found")
    said = {"name": body.contact.name, "email": body.contact.email}
    proof = body.contact.identity.dict(exclude_none=True) if body.contact.identity is not None else None
    made = conversation_create(
        tenant_id=principal.tenant_id,
        contact=said,
        identity=proof,
        inbox_id=inbox_id,
        external_id=body.external_id,
        actor=principal.actor,
    )
    return 201, made.as_dict()


@router.get("")
def conversation_page(
    request: HttpRequest,
    status: str = "",
    handler: str = "",
    assignee: str = "",
    label: str = "",
    mood: str = "",
    language: str = "",
    intent: str = "",
    external_id: str = "",
    q: str = "",
    cursor: str = "",
    limit: int = 50,
) -> dict[str, Any]:
    """Conversations with at least one message, last changed first. `assignee` is a member's id, "me" or "none".

    `mood` (negative, neutral, positive), `language` (ISO 639-1) and `intent` are those of the contact's messages;
    `external_id` is what another system calls the conversation: asked for by it, one without messages is listed too.
    """
    principal = principal_of(request)
    principal.require("conversations:read")
    if status and status not in {"open", "pending", "resolved"}:
        raise Invalid("status is open, pending or resolved.", code="status_invalid")
    if handler and handler not in {"bot", "person"}:
        raise Invalid("handler is bot or person.", code="handler_invalid")
    if mood and mood not in MOODS:
        raise Invalid("mood is negative, neutral or positive.", code="mood_invalid")
    who: Any = principal.id if assignee == "me" else assignee
    if assignee not in {"", "me", "none"}:
        who = parse_id(assignee)
        if who is None:
            return {"items": [], "next_cursor": None}
    items, following = conversations_list(
        tenant_id=principal.tenant_id,
        status=status,
        handler=handler,
        assignee=who,
        label=_plain(label),
        mood=mood,
        language=_plain(language),
        intent=_plain(intent),
        external_id=external_id.replace("\x00", "")[:MAX_EXTERNAL_ID],
        q=q.replace("\x00", "")[:200],
        cursor=cursor,
        limit=limit,
    )
    return {"items": [item.as_dict() for item in items], "next_cursor": following}


def _plain(text: str) -> str:
    """Return what the database takes as a text."""
    return text.replace("\x00", "")[:60]


@router.get("/inboxes")
def inbox_page(request: HttpRequest) -> dict[str, Any]:
    """The organisation's inboxes with their public widget tokens."""
    principal = principal_of(request)
    principal.require("conversations:read")
    items = [inbox.as_dict() for inbox in inboxes_list(tenant_id=principal.tenant_id)]
    return {"items": items, "next_cursor": None}


@router.post("/inboxes", response={201: dict})
@idempotent
def inbox_add(request: HttpRequest, body: InboxIn) -> tuple[int, dict[str, Any]]:
    """Create an inbox: of the kind "widget", with a widget token of its own, unless `channel` names another kind."""
    principal = principal_of(request)
    principal.require("accounts:write")
    given = _settings_together(body.dict(exclude_unset=True))
    return 201, inbox_create(tenant_id=principal.tenant_id, actor=principal.actor, **given).as_dict()


def _settings_together(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a body with settings that stand beside `settings` put into it."""
    beside = {name: given.pop(name) for name in FIRST_SETTINGS if name in given}
    if beside:
        given["settings"] = {**beside, **given.get("settings", {})}
    return given


@router.patch("/inboxes/{inbox_id}")
def inbox_change(request: HttpRequest, inbox_id: str, body: InboxPatch) -> dict[str, Any]:
    """Change an inbox: name, settings of its channel (those that are named), language, bot, collections, whom it admits.

    `identity_required` admits visitors with a proven identity only; a token's `iss` must then be `identity_issuer`, its
    `aud` `identity_audience`, where these are set.
    """
    principal = principal_of(request)
    principal.require("accounts:write")
    parsed = parse_id(inbox_id)
    if parsed is None:
        raise NotFound("There is no such inbox.", code="inbox_not_found")
    changes = _settings_together({n: value for n, value in body.dict(exclude_unset=True).items() if value is not None})
    return inbox_update(
        tenant_id=principal.tenant_id, inbox_id=parsed, changes=changes, actor=principal.actor
    ).as_dict()


@router.post("/inboxes/{inbox_id}/identity-secret", response={201: dict})
def inbox_identity_secret(request: HttpRequest, inbox_id: str) -> tuple[int, dict[str, Any]]:
    """Make a new secret for `nlpsuite.identify`; it is in this answer only, and the old one ends at once.

    Idempotency-Key is not honoured: the stored answer would hold the secret.
    """
    principal = principal_of(request)
    principal.require("accounts:write")
    parsed = parse_id(inbox_id)
    if parsed is None:
        raise NotFound("There is no such inbox.", code="inbox_not_found")
    secret = inbox_identity_secret_renew(tenant_id=principal.tenant_id, inbox_id=parsed, actor=principal.actor)
    return 201, {"identity_secret": secret}


@router.get("/{conversation_id}")
def conversation_one(request: HttpRequest, conversation_id: str) -> dict[str, Any]:
    """One conversation."""
    principal = principal_of(request)
    principal.require("conversations:read")
    return access_conversation_by_id(principal.tenant_id, conversation_id).as_dict()


@router.patch("/{conversation_id}")
def conversation_change(request: HttpRequest, conversation_id: str, body: ConversationPatch) -> dict[str, Any]:
    """Change status, handler, assignee ("me" for the caller, null for nobody), labels or subject."""
    principal = principal_of(request)
    principal.require("conversations:write")
    found = access_conversation_by_id(principal.tenant_id, conversation_id)
    changes = body.dict(exclude_unset=True)
    if any(value is None for name, value in changes.items() if name != "assignee_id"):
        raise Invalid("Only assignee_id can be null.", code="value_missing")
    if changes.get("assignee_id") == "me":
        if principal.kind != "user":
            raise Invalid("An API key cannot be assigned.", code="assignee_invalid")
        changes["assignee_id"] = principal.id
    return conversation_update(
        tenant_id=principal.tenant_id, conversation_id=found.id, changes=changes, actor=principal.actor
    ).as_dict()


@router.post("/{conversation_id}/messages", response={201: dict})
@idempotent
def message_add(request: HttpRequest, conversation_id: str, body: MessageIn) -> tuple[int, dict[str, Any]]:
    """Post a message as the contact (the bot answers it) or as an agent (private: a note).

    `original`: what the agent wrote, when `text` is its translation for the visitor; kept beside it for staff.
    `external_id`: what another system calls the message; posted again, the first one comes back.
    """
    principal = principal_of(request)
    principal.require("conversations:write")
    found = access_conversation_by_id(principal.tenant_id, conversation_id)
    if body.private and body.role != "agent":
        raise Invalid("Only an agent's message can be private.", code="private_invalid")
    client_id = parse_id(body.client_id) if body.client_id else None
    if body.client_id and client_id is None:
        raise Invalid("client_id must be a UUID.", code="client_id_invalid")
    if body.role == "contact":
        access_contact_admitted(found)
    posted = message_post(
        tenant_id=principal.tenant_id,
        conversation_id=found.id,
        role=body.role,
        text=body.text,
        private=body.private,
        client_id=client_id,
        author_id=principal.id if body.role == "agent" and principal.kind == "user" else None,
        original=_original(body),
        arrival=Arrival(body.external_id),
        actor=principal.actor,
    )
    return 201, posted.message.as_dict(staff=True)


def _original(body: MessageIn) -> tuple[str, str]:
    if body.original is None:
        return "", ""
    if body.role != "agent" or body.private:
        raise Invalid("Only an agent's public message can be a translation.", code="original_invalid")
    return clean_text(body.original.text), body.original.language


@router.get("/{conversation_id}/messages/{message_id}")
def message_one(request: HttpRequest, conversation_id: str, message_id: str) -> dict[str, Any]:
    """One message with its whole text; elsewhere a text above 10,000 characters is cut (`truncated`)."""
    principal = principal_of(request)
    principal.require("conversations:read")
    found = access_message_by_id(access_conversation_by_id(principal.tenant_id, conversation_id), message_id)
    text = message_text(tenant_id=principal.tenant_id, message_id=found.id) if found.truncated else found.text
    return {**found.as_dict(staff=True), "text": text, "truncated": False}


@router.get("/{conversation_id}/attachments/{attachment_id}")
def attachment_file(request: HttpRequest, conversation_id: str, attachment_id: str) -> Any:
    """The bytes of a file of a message, as a download: what a stranger sent is not shown by a browser."""
    principal = principal_of(request)
    principal.require("conversations:read")
    conversation = access_conversation_by_id(principal.tenant_id, conversation_id)
    file, info = access_attachment_by_id(conversation, attachment_id)
    return FileResponse(file, as_attachment=True, filename=info.name, content_type="application/octet-stream")


@router.delete("/{conversation_id}", response={204: None})
def conversation_remove(request: HttpRequest, conversation_id: str) -> tuple[int, None]:
    """Delete a conversation for good, with messages, files, drafts and everything found out about it."""
    principal = principal_of(request)
    principal.require("accounts:write")
    found = access_conversation_by_id(principal.tenant_id, conversation_id)
    conversation_delete(tenant_id=principal.tenant_id, conversation_id=found.id, actor=principal.actor)
    return 204, None


@router.delete("/contacts/{contact_id}", response={204: None})
def contact_remove(request: HttpRequest, contact_id: str) -> tuple[int, None]:
    """Delete a person for good, with all of their conversations."""
    principal = principal_of(request)
    principal.require("accounts:write")
    found = access_contact_by_id(principal.tenant_id, contact_id)
    contact_delete(tenant_id=principal.tenant_id, contact_id=found, actor=principal.actor)
    return 204, None


@router.get("/{conversation_id}/messages")
def message_page(request: HttpRequest, conversation_id: str, after_seq: int = 0, limit: int = 100) -> dict[str, Any]:
    """Messages after a sequence number, in order, notes included. An agent's reading marks them as seen."""
    principal = principal_of(request)
    principal.require("conversations:read")
    found = access_conversation_by_id(principal.tenant_id, conversation_id)
    items, more = messages_after(
        tenant_id=principal.tenant_id,
        conversation_id=found.id,
        after_seq=max(0, min(after_seq, 2**31 - 1)),
        limit=page_limit(limit),
        staff=True,
    )
    if items and principal.kind == "user" and "conversations:write" in principal.scopes:
        conversation_seen(tenant_id=principal.tenant_id, conversation_id=found.id, seq=items[-1].seq)
    return {
        "items": [item.as_dict(staff=True) for item in items],
        "next_cursor": str(items[-1].seq) if more else None,
        "has_more": more,
    }
