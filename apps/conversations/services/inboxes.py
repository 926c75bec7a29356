"""Writes on inboxes."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from apps.accounts.services import credential_create
from apps.conversations.channels import channel_kind, settings_merge
from apps.conversations.models import Inbox
from apps.conversations.selectors import inbox_info
from apps.conversations.types import FIRST_CHANNEL, InboxInfo
from apps.core.errors import Invalid, NotFound
from apps.core.tenancy import tenant_scope
from apps.events.services import audit_record

CHANGEABLE = frozenset(
    {
        "name",
        "settings",
        "locale",
        "bot_enabled",
        "collections",
        "identity_required",
        "identity_issuer",
        "identity_audience",
    }
)


def inbox_create(
    *,
    tenant_id: uuid.UUID,
    name: str,
    channel: str = FIRST_CHANNEL,
    settings: Mapping[str, Any] | None = None,
    locale: str = "en",
    collections: Sequence[str] = (),
    identity_required: bool = False,
    actor: str = "",
) -> InboxInfo:
    """Create an inbox of a kind of channel, with a fresh public token where the kind has one.

    Raises Invalid "channel_unknown", "settings_invalid" or what the kind says of its settings ("origin_invalid").
    """
    kind = channel_kind(channel)
    checked = settings_merge(kind, {}, settings or {})
    token = f"wgt_{secrets.token_urlsafe(24)}" if kind.public_token else None
    with tenant_scope(tenant_id):
        row = Inbox.objects.create(
            name=name,
            channel=channel,
            channel_settings=checked,
            widget_token=token,
            locale=locale,
            collections=list(collections),
            identity_required=identity_required,
            identity_secret=secrets.token_hex(32),
        )
        if token is not None:
            credential_create(tenant_id=tenant_id, kind="widget", object_id=row.id, secret=token)
        data = {"name": name, "channel": channel}
        audit_record(action="inbox.created", actor=actor, target=str(row.id), data=data)
        return inbox_info(row)


def inbox_update(*, tenant_id: uuid.UUID, inbox_id: uuid.UUID, changes: dict[str, Any], actor: str) -> InboxInfo:
    """Change an inbox and return it; of its `settings` those that are named. Its kind stays. Writes an audit row.

    Errors: NotFound, Invalid (unknown field, or as `inbox_create`).
    """
    if set(changes) - CHANGEABLE:
        raise Invalid("An inbox has no such field.", code="field_unknown")
    with tenant_scope(tenant_id):
        row = Inbox.objects.select_for_update().filter(id=inbox_id).first()
        if row is None:
            raise NotFound("There is no such inbox.", code="inbox_not_found")
        for name, value in changes.items():
            if name == "settings":
                row.channel_settings = settings_merge(channel_kind(row.channel), row.channel_settings, value)
            else:
                setattr(row, name, value)
        row.save()
        audit_record(action="inbox.changed", actor=actor, target=str(inbox_id), data=changes)
        return inbox_info(row)


def inbox_identity_secret_renew(*, tenant_id: uuid.UUID, inbox_id: uuid.UUID, actor: str) -> str:
    """Replace the secret that proves visitors' identities, and return it: it is shown at no other time.

    Proofs made with the old one are refused from now on. Raises NotFound. Writes an audit row.
    """
    fresh = secrets.token_hex(32)
    with tenant_scope(tenant_id):
        if not Inbox.objects.filter(id=inbox_id).update(identity_secret=fresh):
            raise NotFound("There is no such inbox.", code="inbox_not_found")
        audit_record(action="inbox.identity_secret_renewed", actor=actor, target=str(inbox_id))
    return fresh
