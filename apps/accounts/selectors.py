"""Reads on members, invitations and keys."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from apps.accounts.access import access_invitation, access_invitation_by_token, invitations_standing, inviter_stands
from apps.accounts.errors import invitation_invalid
from apps.accounts.models import ApiKey, Invitation, Membership, User
from apps.accounts.types import INVITATIONS_LISTED_MAX, MEMBERS_MAX, InvitationInfo, InvitationPreview, MemberInfo
from apps.core.clock import now
from apps.core.tenancy import tenant_scope
from apps.tenants.selectors import organization_get


def members_list(*, tenant_id: uuid.UUID) -> list[MemberInfo]:
    """Return the organisation's members, by name; there are at most MEMBERS_MAX."""
    rows = Membership.objects.filter(tenant_id=tenant_id).select_related("user").order_by("user__name")[:MEMBERS_MAX]
    return [MemberInfo(m.user_id, m.user.get_short_name(), m.user.email, m.role) for m in rows]


def member_names(*, tenant_id: uuid.UUID, user_ids: set[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Return the display names of those of the ids that are members."""
    rows = Membership.objects.filter(tenant_id=tenant_id, user_id__in=user_ids).select_related("user")
    return {m.user_id: m.user.get_short_name() for m in rows}


def api_keys_list(*, tenant_id: uuid.UUID) -> list[ApiKey]:
    """Return the organisation's keys, newest first (at most 200)."""
    with tenant_scope(tenant_id):
        return list(ApiKey.objects.order_by("-created_at")[:200])


def invitations_list(*, tenant_id: uuid.UUID) -> list[InvitationInfo]:
    """Return the organisation's unanswered invitations, newest first (at most INVITATIONS_LISTED_MAX)."""
    with tenant_scope(tenant_id):
        open_ = Invitation.objects.filter(accepted_at=None, revoked_at=None).order_by("-created_at")
        rows = list(open_[:INVITATIONS_LISTED_MAX])
        standing = invitations_standing(rows)
        return [_invitation_info(row, row.id in standing) for row in rows]


def invitation_get(*, tenant_id: uuid.UUID, invitation_id: object) -> InvitationInfo:
    """Return an unanswered invitation. Raises NotFound."""
    with tenant_scope(tenant_id):
        row = access_invitation(invitation_id)
        return _invitation_info(row, inviter_stands(row))


def _invitation_info(row: Invitation, stands: bool) -> InvitationInfo:
    status = "pending" if row.expires_at > now() and stands else "expired"
    return InvitationInfo(row.id, row.email, row.name, row.role, status, row.by_mail, row.created_at, row.expires_at)


def invitation_preview(*, token: str, user: User | None) -> InvitationPreview:
    """Return what a token is for; `user` is who is signed in, or None. Raises NotFound "invitation_invalid"."""
    tenant_id, invitation_id = access_invitation_by_token(token)
    organization = organization_get(tenant_id=tenant_id)
    with tenant_scope(tenant_id):
        row = Invitation.objects.filter(id=invitation_id, accepted_at=None, revoked_at=None).first()
        if row is None or row.expires_at <= now() or not inviter_stands(row):
            raise invitation_invalid()
    state = _state(User.objects.filter(email=row.email).first(), user)
    return InvitationPreview(organization.name, row.email, row.name, row.role, state)


def _state(account: User | None, user: User | None) -> str:
    if user is not None and (account is None or user.id != account.id):
        return "wrong_account"
    if account is None:
        return "new"
    if user is None:
        return "sign_in"
    return "ready" if account.email_verified_at else "unproven"


def accounts_unproven() -> Iterator[str]:
    """Return the addresses of all accounts that nobody proved, in order. Only commands call this."""
    rows = User.objects.filter(email_verified_at=None).order_by("email")
    return rows.values_list("email", flat=True).iterator(chunk_size=1000)
