"""API keys."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence

from apps.accounts.models import ApiKey, Credential
from apps.accounts.services.credentials import credential_create
from apps.accounts.services.invitations import invitations_withdraw
from apps.accounts.types import SCOPES
from apps.core.clock import now
from apps.core.errors import Invalid, NotFound
from apps.core.tenancy import tenant_scope
from apps.events.services import audit_record


def api_key_create(
    *, tenant_id: uuid.UUID, name: str, scopes: Sequence[str] = SCOPES, actor: str = ""
) -> tuple[ApiKey, str]:
    """Create a key; returns it with its secret, which is not kept. Raises Invalid for an unknown scope."""
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not name.strip() or len(name) > 80:
        raise Invalid("A key needs a name and known scopes.", code="api_key_invalid", details={"unknown": unknown})
    secret = f"nls_{secrets.token_urlsafe(32)}"
    with tenant_scope(tenant_id):
        key = ApiKey.objects.create(name=name.strip(), prefix=secret[:8], scopes=list(scopes))
        credential_create(tenant_id=tenant_id, kind="api_key", object_id=key.id, secret=secret)
        audit_record(action="api_key.created", actor=actor, target=str(key.id), data={"scopes": list(scopes)})
    return key, secret


def api_key_revoke(*, tenant_id: uuid.UUID, key_id: uuid.UUID, actor: str) -> None:
    """End a key at once, and the invitations that were made with it. Raises NotFound."""
    with tenant_scope(tenant_id):
        if not ApiKey.objects.filter(id=key_id, revoked_at=None).update(revoked_at=now()):
            raise NotFound("There is no such key.")
        Credential.objects.filter(object_id=key_id, tenant_id=tenant_id, kind="api_key").update(revoked_at=now())
        audit_record(action="api_key.revoked", actor=actor, target=str(key_id))
        invitations_withdraw(invited_by=f"api_key:{key_id}", actor=actor)
