"""Memberships: who belongs to an organisation, with which role."""

from __future__ import annotations

import uuid

from apps.accounts.access import access_member
from apps.accounts.models import Membership, User
from apps.accounts.services.invitations import invitations_withdraw
from apps.accounts.types import ROLES
from apps.core.clock import now
from apps.core.errors import Conflict, Invalid
from apps.core.tenancy import tenant_scope
from apps.events.services import audit_record


def member_create(
    *, tenant_id: uuid.UUID, email: str, name: str, role: str, password: str | None, actor: str = ""
) -> User:
    """Create a user (or take the existing one of that address) and give it a role. Writes an audit row.

    Only the operator's commands call this, by whose word the address counts as proven. An account that exists keeps its
    password, and must have proven its address: whoever made it may know the password. Raises Invalid "role_invalid",
    Conflict "address_unproven".
    """
    if role not in ROLES:
        raise Invalid(f"There is no role {role!r}.", code="role_invalid")
    user = User.objects.filter(email=email.lower()).first()
    if user is not None and user.email_verified_at is None:
        raise Conflict(
            f"There is an account for {user.email}, made by an organisation, and nobody has shown that the address is "
            "its holder's. Prove it first: manage.py account_verify.",
            code="address_unproven",
        )
    if user is None:
        user = User.objects.create_user(email=email, password=password, name=name, email_verified_at=now())
    with tenant_scope(tenant_id):
        Membership.objects.update_or_create(user=user, tenant_id=tenant_id, defaults={"role": role})
        audit_record(action="member.added", actor=actor, target=str(user.id), data={"role": role})
    return user


def member_remove(*, tenant_id: uuid.UUID, user_id: object, actor: str) -> None:
    """End a membership and the invitations that the member made, which would be a way back in.

    Raises NotFound; Conflict "last_owner", since nobody could let anybody in again. Whether the caller may remove
    somebody of that role is asked before (`Principal.require_role`).
    """
    with tenant_scope(tenant_id):
        row = access_member(tenant_id, user_id)
        owners = Membership.objects.select_for_update().filter(tenant_id=tenant_id, role="owner")
        if row.role == "owner" and len(owners) == 1:
            raise Conflict("The last owner cannot be removed.", code="last_owner")
        row.delete()
        audit_record(action="member.removed", actor=actor, target=str(row.user_id), data={"role": row.role})
        invitations_withdraw(invited_by=f"user:{row.user_id}", actor=actor)
