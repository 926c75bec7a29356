"""Untrusted tokens and ids -> inboxes, visitors and conversations. Missing and foreign look the same."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from typing import IO

from django.conf import settings
from django.core.files.storage import default_storage

from apps.accounts.access import access_credential
from apps.conversations.attachments import attachment_info
from apps.conversations.identity import identity_check, identity_proven
from apps.conversations.models import Attachment, Contact, Conversation, Inbox, VisitorToken
from apps.conversations.selectors import conversation_get, inbox_get, inboxes_list, message_get
from apps.conversations.services.contacts import contact_told
from apps.conversations.services.visitors import (
    LIFETIME,
    reserved_conversation_id,
    visitor_token_digest,
    visitor_token_issue,
    visitor_token_issued_at,
)
from apps.conversations.types import (
    MAX_ATTRIBUTES_BYTES,
    AttachmentInfo,
    ConversationInfo,
    Identity,
    InboxInfo,
    MessageInfo,
    Visitor,
    last_within,
    storable,
)
from apps.core.clock import now
from apps.core.errors import NotFound
from apps.core.ids import parse_id
from apps.core.tenancy import tenant_scope
from apps.tenants.selectors import organization_demo

MAX_ATTRIBUTES = 50


def access_inbox_by_widget_token(token: str) -> InboxInfo:
    """Return the inbox of a public widget token. Raises NotFound."""
    found = access_credential(token, kind="widget")
    if found is None:
        raise NotFound("There is no such widget.", code="widget_not_found")
    return inbox_get(tenant_id=found[0], inbox_id=found[1])


def access_inbox_demo() -> InboxInfo | None:
    """Return the demo organisation's first inbox that pages can name, or None."""
    demo = organization_demo()
    inboxes = inboxes_list(tenant_id=demo.id) if demo else []
    return next((inbox for inbox in inboxes if inbox.widget_token), None)


def access_conversation_by_id(tenant_id: uuid.UUID, raw_id: object) -> ConversationInfo:
    """Return a conversation of the tenant. Raises NotFound for what is malformed, missing or foreign."""
    parsed = parse_id(raw_id)
    if parsed is None:
        raise NotFound("There is no such conversation.")
    return conversation_get(tenant_id=tenant_id, conversation_id=parsed)


def access_message_by_id(conversation: ConversationInfo, raw_id: object) -> MessageInfo:
    """Return a message of a conversation. Raises NotFound for what is malformed, missing or of another conversation."""
    parsed = parse_id(raw_id)
    found = message_get(tenant_id=conversation.tenant_id, message_id=parsed) if parsed is not None else None
    if found is None or found.conversation_id != conversation.id:
        raise NotFound("There is no such message.")
    return found


def access_attachment_by_id(conversation: ConversationInfo, raw_id: object) -> tuple[IO[bytes], AttachmentInfo]:
    """Open a file of a message of a conversation. Raises NotFound for what is malformed, missing or of another one."""
    row, parsed = None, parse_id(raw_id)
    if parsed is not None:
        with tenant_scope(conversation.tenant_id):
            row = Attachment.objects.filter(id=parsed, message__conversation_id=conversation.id).first()
    if row is None:
        raise NotFound("There is no such file.")
    try:
        return default_storage.open(row.storage_name), attachment_info(row)
    except FileNotFoundError:
        raise NotFound("There is no such file.") from None


def access_contact_by_id(tenant_id: uuid.UUID, raw_id: object) -> uuid.UUID:
    """Return the id of a contact of the tenant. Raises NotFound for what is malformed, missing or foreign."""
    parsed = parse_id(raw_id)
    with tenant_scope(tenant_id):
        if parsed is None or not Contact.objects.filter(id=parsed).exists():
            raise NotFound("There is no such contact.")
    return parsed


def access_visitor(
    inbox: InboxInfo, token: object, identity: object = None, attributes: object = None, locale: object = None
) -> Visitor:
    """Return the visitor of a token, or a new one when the token is missing, not ours, or expired.

    `attributes` (up to 50 short texts that the host page tells of its visitor, unproven) are kept with the contact;
    `locale` is the language the visitor reads, when it is one of ours. A proven identity is attached.

    Errors:  Forbidden "identity_invalid" or "identity_expired" (a wrong proof), "identity_required" (none, where the inbox
             admits proven identities only: a token of an earlier visit is no proof).
    Effects: a known token's 30 days start again; what the identity says of the contact is kept.
    """
    proven = access_identity(inbox, identity)
    found = _visitor(inbox, token, proven)
    known = dict(settings.LANGUAGES)
    found = replace(
        found, attributes=_attributes(attributes), locale=locale if isinstance(locale, str) and locale in known else ""
    )
    if found.contact_id is not None and found.attributes:
        with tenant_scope(inbox.tenant_id):
            contact = Contact.objects.select_for_update().get(id=found.contact_id)
            # What is told now stays; of what was told before, what fits beside it.
            kept = {name: value for name, value in contact.attributes.items() if name not in found.attributes}
            told = dict(list({**kept, **found.attributes}.items())[-MAX_ATTRIBUTES:])
            contact.attributes = last_within(told, MAX_ATTRIBUTES_BYTES)
            contact.save(update_fields=["attributes"])
    return found


def access_identity(inbox: InboxInfo, raw: object) -> Identity | None:
    """Return the identity that `raw` proves for an inbox, or None where it admits visitors without one. Raises Forbidden."""
    with tenant_scope(inbox.tenant_id):
        row = Inbox.objects.get(id=inbox.id)
    proven = identity_proven(row, raw)
    identity_check(row, proven is not None)
    return proven


def access_visitor_admitted(visitor: Visitor) -> None:
    """Raise Forbidden "identity_required" when the visitor's inbox has come to admit proven identities only."""
    if visitor.identity is not None:
        return
    with tenant_scope(visitor.tenant_id):
        row = Inbox.objects.filter(id=visitor.inbox_id).first()
    if row is None:
        raise NotFound("There is no such inbox.", code="inbox_not_found")
    identity_check(row, False)


def access_contact_admitted(conversation: ConversationInfo) -> None:
    """Raise Forbidden "identity_required" when the contact is not proven and the inbox admits proven identities only."""
    with tenant_scope(conversation.tenant_id):
        identity_check(Inbox.objects.get(id=conversation.inbox_id), conversation.contact.verified)


def _attributes(raw: object) -> dict[str, str]:
    if not isinstance(raw, dict):
        return {}
    some = list(raw.items())[:MAX_ATTRIBUTES]
    return {storable(name, 60): storable(value, 1000) for name, value in some if isinstance(value, str | int | float)}


def _visitor(inbox: InboxInfo, token: object, proven: Identity | None) -> Visitor:
    if isinstance(token, str):
        issued = visitor_token_issued_at(inbox_id=inbox.id, token=token)
        if issued is not None:
            with tenant_scope(inbox.tenant_id):
                row = VisitorToken.objects.filter(digest=visitor_token_digest(token), inbox_id=inbox.id).first()
                if row is not None and row.expires_at > now():
                    _slide(row)
                    return _for_identity(inbox, token, row.contact_id, proven)
            if row is None and time.time() - issued < LIFETIME.total_seconds():
                return Visitor(inbox.tenant_id, inbox.id, token, None, proven)
    return Visitor(inbox.tenant_id, inbox.id, visitor_token_issue(inbox_id=inbox.id), None, proven)


def _slide(row: VisitorToken) -> None:
    fresh = now() + LIFETIME
    if (fresh - row.expires_at).total_seconds() > 3600:
        VisitorToken.objects.filter(id=row.id).update(expires_at=fresh)


def _for_identity(inbox: InboxInfo, token: str, contact_id: uuid.UUID, proven: Identity | None) -> Visitor:
    """A token whose contact is not the proven person starts afresh, so that nobody reads another's history."""
    if proven is not None:
        known = Contact.objects.filter(id=contact_id, external_id=proven.id, verified=True).exists()
        if not known:
            return Visitor(inbox.tenant_id, inbox.id, visitor_token_issue(inbox_id=inbox.id), None, proven)
        contact_told(contact_id, proven)
    return Visitor(inbox.tenant_id, inbox.id, token, contact_id, proven)


def access_visitor_conversation(visitor: Visitor, raw_id: object) -> tuple[uuid.UUID, bool]:
    """Return the id of the conversation the visitor speaks in, and whether it has a row.

    The wanted one if it is theirs; else their latest that is not resolved; else the next one reserved for the token: the
    same until it begins, so that a message sent again after a cut meets its first sending.
    """
    wanted = parse_id(raw_id) if raw_id else None
    with tenant_scope(visitor.tenant_id):
        if visitor.contact_id is None:
            return reserved_conversation_id(visitor.token), False
        mine = Conversation.objects.filter(contact_id=visitor.contact_id, inbox_id=visitor.inbox_id)
        if wanted is not None and mine.filter(id=wanted).exists():
            return wanted, True
        latest = mine.exclude(status="resolved").order_by("-created_at").values_list("id", flat=True).first()
        if latest is not None:
            return latest, True
        return reserved_conversation_id(visitor.token, mine.count()), False
