"""Memberships: who belongs to an organisation, with which role."""

from __future__ import annotations

import secrets
import uuid

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from apps.accounts.access import access_member
from apps.accounts.models import Membership, User
from apps.accounts.types import ROLES
from apps.core.errors import Conflict, Invalid
from apps.core.tenancy import tenant_scope
from apps.events.services import audit_record


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
