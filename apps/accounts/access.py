"""Untrusted credentials -> principals. Unknown, revoked and expired look the same."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from django.db.models import Q
from django.http import HttpRequest

from apps.accounts.errors import invitation_invalid
from apps.accounts.models import ApiKey, Credential, Invitation, Membership, User
from apps.accounts.types import ROLE_SCOPES, Principal
from apps.core.clock import now
from apps.core.errors import Forbidden, NotFound, Unauthenticated
from apps.core.ids import parse_id
from apps.core.tenancy import current_tenant_id, tenant_scope

ACTIVE_ORGANIZATION = "active_organization"


def credential_digest(secret: str) -> str:
    """Return the digest a secret is stored under. The secrets are 256 random bits, so no salt or stretching is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def access_credential(secret: str, *, kind: str) -> tuple[uuid.UUID, uuid.UUID] | None:
    """Return (tenant id, object id) of a live credential, or None."""
    if not secret or len(secret) > 200:
        return None
    live = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=now()))
    row = Credential.objects.filter(live, digest=credential_digest(secret), kind=kind).first()
    return (row.tenant_id, row.object_id) if row else None


def access_principal_by_api_key(secret: str) -> Principal:
    """Return the principal of an API key and note its use (at most once a minute). Raises Unauthenticated."""
    found = access_credential(secret, kind="api_key")
    if found is None:
        raise Unauthenticated(code="api_key_invalid")
    tenant_id, key_id = found
    with tenant_scope(tenant_id):
        key = ApiKey.objects.filter(id=key_id, revoked_at=None).first()
        if key is None:
            raise Unauthenticated(code="api_key_invalid")
        if key.last_used_at is None or now() - key.last_used_at > timedelta(minutes=1):
            ApiKey.objects.filter(id=key_id).update(last_used_at=now())
    return Principal(tenant_id, "api_key", key.id, key.name, "", frozenset(key.scopes))


def access_principal_by_user(user: User, wanted: object = None) -> Principal:
    """Return the principal of a signed-in user in the wanted organisation, else in the first joined.

    Raises Unauthenticated for a user without a membership: such an account may do nothing.
    """
    memberships = list(Membership.objects.filter(user=user).order_by("created_at")[:50])
    if not user.is_active or not memberships:
        raise Unauthenticated(code="membership_missing")
    chosen = parse_id(wanted) if wanted else None
    row = next((m for m in memberships if m.tenant_id == chosen), memberships[0])
    return Principal(row.tenant_id, "user", user.id, user.get_short_name(), row.role, ROLE_SCOPES[row.role])


def principal_of(request: HttpRequest) -> Principal:
    """Return who makes an API request, as the authentication of the API has set it. Raises Unauthenticated."""
    principal = getattr(request, "principal", None)
    if not isinstance(principal, Principal):
        raise Unauthenticated
    return principal


def access_member(tenant_id: uuid.UUID, user_id: object) -> Membership:
    """Return the membership of a user in a tenant. Raises NotFound for missing and foreign alike."""
    parsed = parse_id(user_id)
    mine = Membership.objects.filter(tenant_id=tenant_id).select_related("user")
    row = mine.filter(user_id=parsed).first() if parsed else None
    if row is None:
        raise NotFound("There is no such member.")
    return row


def access_api_key(tenant_id: uuid.UUID, key_id: object) -> ApiKey:
    """Return a key that is not revoked. Raises NotFound for missing and foreign alike."""
    parsed = parse_id(key_id)
    with tenant_scope(tenant_id):
        key = ApiKey.objects.filter(id=parsed, revoked_at=None).first() if parsed else None
    if key is None:
        raise NotFound("There is no such key.")
    return key


def access_invitation(invitation_id: object, *, lock: bool = False) -> Invitation:
    """Return an unanswered invitation of the open scope, expired or not. Raises NotFound."""
    parsed = parse_id(invitation_id)
    rows = Invitation.objects.select_for_update() if lock else Invitation.objects.all()
    row = rows.filter(id=parsed, accepted_at=None, revoked_at=None).first() if parsed else None
    if row is None:
        raise NotFound("There is no such invitation.")
    return row


def inviter_stands(row: Invitation) -> bool:
    """Whether whoever made, or last sent, the invitation may still invite somebody to its role, in the open scope."""
    return row.id in invitations_standing([row])


def invitations_standing(rows: Sequence[Invitation]) -> set[uuid.UUID]:
    """Return the ids of those whose inviter may still invite somebody to their role, in the open scope; in two queries.

    A member whose account was deactivated, who was removed or lowered, and a revoked key may not. Who is neither, as the
    operator's commands, was no member whose rank could have changed.
    """
    inviters = _inviters({row.invited_by for row in rows})
    return {row.id for row in rows if _may_invite(inviters, row)}


def _may_invite(inviters: Mapping[str, Principal], row: Invitation) -> bool:
    if row.invited_by.partition(":")[0] not in {"user", "api_key"}:
        return True
    try:
        found = inviters[row.invited_by]
        found.require("accounts:write")
        found.require_role(row.role)
    except (KeyError, Forbidden):
        return False
    return True


def _inviters(actors: Collection[str]) -> dict[str, Principal]:
    """Return who they are today, by the name that `Principal.actor` gives; who is nobody any more is not among them."""
    tenant_id = current_tenant_id()
    assert tenant_id is not None  # noqa: S101  (callers open the scope)
    members = Membership.objects.filter(tenant_id=tenant_id, user_id__in=_ids(actors, "user"), user__is_active=True)
    keys = ApiKey.objects.filter(id__in=_ids(actors, "api_key"), revoked_at=None)
    found = [Principal(m.tenant_id, "user", m.user_id, "", m.role, ROLE_SCOPES[m.role]) for m in members]
    found += [Principal(key.tenant_id, "api_key", key.id, "", "", frozenset(key.scopes)) for key in keys]
    return {one.actor: one for one in found}


def _ids(actors: Collection[str], kind: str) -> list[uuid.UUID]:
    named = [parse_id(actor.partition(":")[2]) for actor in actors if actor.startswith(f"{kind}:")]
    return [found for found in named if found is not None]


def access_invitation_by_token(token: str) -> tuple[uuid.UUID, uuid.UUID]:
    """Return (tenant id, invitation id) of a living token. Raises NotFound "invitation_invalid"."""
    found = access_credential(token, kind="invite")
    if found is None:
        raise invitation_invalid()
    return found
