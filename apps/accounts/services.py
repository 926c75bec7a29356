"""Writes on users, memberships, keys and credentials."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from apps.accounts.access import access_member, credential_digest
from apps.accounts.models import ApiKey, Credential, Membership, User
from apps.accounts.types import ROLES, SCOPES
from apps.core.clock import now
from apps.core.errors import Conflict, Invalid, NotFound
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


def member_invite(
    *, tenant_id: uuid.UUID, email: str, name: str, role: str, password: str | None, actor: str
) -> tuple[User, str | None]:
    """Add a member; returns the user and the password that was made, or None when one was given or existed.

    Raises Conflict "member_exists", Invalid "email_invalid" or "password_weak". Effects: rows and an audit row.
    """
    try:
        validate_email(email)
    except ValidationError:
        raise Invalid("This is not an e-mail address.", code="email_invalid") from None
    known = User.objects.filter(email=email.lower()).first()
    if known is not None and Membership.objects.filter(user=known, tenant_id=tenant_id).exists():
        raise Conflict("There is a member with this address.", code="member_exists")
    made = None
    if known is None:
        made = None if password else secrets.token_urlsafe(15)
        try:
            validate_password(password or made or "", User(email=email, name=name))
        except ValidationError as error:
            raise Invalid(" ".join(error.messages), code="password_weak") from None
    user = member_create(tenant_id=tenant_id, email=email, name=name, role=role, password=password or made, actor=actor)
    return user, made


def member_remove(*, tenant_id: uuid.UUID, user_id: object, actor: str) -> None:
    """End a membership. Raises NotFound; Conflict "last_owner", since nobody could let anybody in again."""
    with tenant_scope(tenant_id):
        row = access_member(tenant_id, user_id)
        owners = Membership.objects.select_for_update().filter(tenant_id=tenant_id, role="owner")
        if row.role == "owner" and len(owners) == 1:
            raise Conflict("The last owner cannot be removed.", code="last_owner")
        row.delete()
        audit_record(action="member.removed", actor=actor, target=str(row.user_id), data={"role": row.role})


def operator_set(*, email: str, operator: bool = True) -> None:
    """Make an account an operator of the installation, or end that. Raises NotFound. Only commands call this."""
    if not User.objects.filter(email=email.lower()).update(is_staff=operator):
        raise NotFound("There is no account with this address.")


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
