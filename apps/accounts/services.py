"""Writes on users, memberships, keys and credentials."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from datetime import datetime

from apps.accounts.access import credential_digest
from apps.accounts.models import ApiKey, Credential, Membership, User
from apps.accounts.types import ROLES, SCOPES
from apps.core.clock import now
from apps.core.errors import Invalid, NotFound
from apps.core.tenancy import tenant_scope
from apps.events.services import audit_record


def credential_create(
    *, tenant_id: uuid.UUID, kind: str, object_id: uuid.UUID, secret: str, expires_at: datetime | None = None
) -> None:
    """Store the digest of a secret so that it can be looked up before its tenant is known."""
    Credential.objects.create(
        digest=credential_digest(secret), tenant_id=tenant_id, kind=kind, object_id=object_id, expires_at=expires_at
    )


def member_create(
    *, tenant_id: uuid.UUID, email: str, name: str, role: str, password: str | None, actor: str = ""
) -> User:
    """Create a user (or take the existing one of that address) and give it a role. Writes an audit row."""
    if role not in ROLES:
        raise Invalid(f"There is no role {role!r}.", code="role_invalid")
    user = User.objects.filter(email=email.lower()).first()
    if user is None:
        user = User.objects.create_user(email=email, password=password, name=name)
    with tenant_scope(tenant_id):
        Membership.objects.update_or_create(user=user, tenant_id=tenant_id, defaults={"role": role})
        audit_record(action="member.added", actor=actor, target=str(user.id), data={"role": role})
    return user


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
    """End a key at once. Raises NotFound."""
    with tenant_scope(tenant_id):
        if not ApiKey.objects.filter(id=key_id, revoked_at=None).update(revoked_at=now()):
            raise NotFound("There is no such key.")
        Credential.objects.filter(object_id=key_id, tenant_id=tenant_id, kind="api_key").update(revoked_at=now())
        audit_record(action="api_key.revoked", actor=actor, target=str(key_id))
