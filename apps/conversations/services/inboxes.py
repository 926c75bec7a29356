"""Writes on inboxes."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Sequence
from typing import Any

from apps.accounts.services import credential_create
from apps.conversations.models import Inbox
from apps.conversations.selectors import inbox_info
from apps.conversations.types import InboxInfo
from apps.core.errors import Invalid, NotFound
from apps.core.tenancy import tenant_scope
from apps.events.services import audit_record

CHANGEABLE = frozenset(
    {
        "name",
        "allowed_origins",
        "accent",
        "greeting",
        "suggested_questions",
        "locale",
        "bot_enabled",
        "collections",
        "identity_required",
        "identity_issuer",
        "identity_audience",
    }
)
# scheme://host[:port], nothing else: no path, no wildcard, no user part.
ORIGIN = re.compile(r"https?://[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?(:[0-9]{1,5})?")


def inbox_create(
    *,
    tenant_id: uuid.UUID,
    name: str,
    allowed_origins: Sequence[str] = (),
    greeting: str = "",
    suggested_questions: Sequence[str] = (),
    locale: str = "en",
    collections: Sequence[str] = (),
    identity_required: bool = False,
    actor: str = "",
) -> InboxInfo:
    """Create an inbox with a fresh widget token. Raises Invalid for an origin that is not exactly scheme://host[:port]."""
    _check_origins(allowed_origins)
    token = f"wgt_{secrets.token_urlsafe(24)}"
    with tenant_scope(tenant_id):
        row = Inbox.objects.create(
            name=name,
            widget_token=token,
            allowed_origins=list(allowed_origins),
            greeting=greeting,
            suggested_questions=list(suggested_questions),
            locale=locale,
            collections=list(collections),
            identity_required=identity_required,
            identity_secret=secrets.token_hex(32),
        )
        credential_create(tenant_id=tenant_id, kind="widget", object_id=row.id, secret=token)
        audit_record(action="inbox.created", actor=actor, target=str(row.id), data={"name": name})
        return inbox_info(row)


def inbox_update(*, tenant_id: uuid.UUID, inbox_id: uuid.UUID, changes: dict[str, Any], actor: str) -> InboxInfo:
    """Change an inbox and return it. Raises NotFound, Invalid (origin, unknown field). Writes an audit row."""
    if set(changes) - CHANGEABLE:
        raise Invalid("An inbox has no such field.", code="field_unknown")
    _check_origins(changes.get("allowed_origins", ()))
    with tenant_scope(tenant_id):
        row = Inbox.objects.select_for_update().filter(id=inbox_id).first()
        if row is None:
            raise NotFound("There is no such inbox.", code="inbox_not_found")
        for name, value in changes.items():
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


def _check_origins(origins: Sequence[str]) -> None:
    bad = [origin for origin in origins if not ORIGIN.fullmatch(origin)]
    if bad:
        raise Invalid("An origin looks like https://shop.example, in lower case.", code="origin_invalid", details=bad)
