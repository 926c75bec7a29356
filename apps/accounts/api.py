"""Who am I, who else is here, and keys."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Body, Router, Schema
from pydantic import Field

from apps.accounts.access import access_api_key, access_member, principal_of
from apps.accounts.selectors import api_keys_list, invitation_get, invitations_list, members_list
from apps.accounts.services import (
    api_key_create,
    api_key_revoke,
    invitation_create,
    invitation_resend,
    invitation_revoke,
    member_remove,
)
from apps.accounts.types import SCOPES, InvitationSent
from apps.tenants.selectors import organization_get, organization_settings
from apps.tenants.services import organization_settings_update
from apps.tenants.types import SETTINGS

router = Router(tags=["accounts"])


class MemberIn(Schema, extra="forbid"):
    """A password is nobody's to choose but the person's own: the field, like any other unknown one, is refused."""

    email: str = Field(max_length=254)
    name: str = Field("", max_length=120)
    role: Literal["owner", "admin", "agent", "analyst"]


class ApiKeyIn(Schema):
    name: str
    scopes: list[str] = list(SCOPES)


@router.get("/me")
def me(request: HttpRequest) -> dict[str, Any]:
    """The caller: a member of staff or an API key, and the organisation it speaks for."""
    principal = principal_of(request)
    organization = organization_get(tenant_id=principal.tenant_id)
    email = getattr(request.user, "email", "") if principal.kind == "user" else ""
    return {
        "id": str(principal.id),
        "kind": principal.kind,
        "name": principal.name,
        "email": email,
        "role": principal.role or None,
        "scopes": sorted(principal.scopes),
        "organization": {"id": str(organization.id), "name": organization.name, "slug": organization.slug},
    }


@router.get("/members")
def members(request: HttpRequest) -> dict[str, Any]:
    """The organisation's members."""
    principal = principal_of(request)
    principal.require("accounts:read")
    rows = members_list(tenant_id=principal.tenant_id)
    items = [{"id": str(m.id), "name": m.name, "email": m.email, "role": m.role} for m in rows]
    return {"items": items, "next_cursor": None}


@router.post("/members", response={201: dict})
def member_invite(request: HttpRequest, body: MemberIn) -> tuple[int, dict[str, Any]]:
    """Invite somebody. The link goes to the address by e-mail; where no mail server is set, `link` is in this answer only,
    to be handed on. The answer is the same whether or not the address has an account.

    Idempotency-Key is not honoured: the stored answer would hold the link.
    """
    principal = principal_of(request)
    principal.require("accounts:write")
    principal.require_role(body.role)
    sent = invitation_create(tenant_id=principal.tenant_id, actor=principal.actor, **body.dict())
    return 201, _sent(sent)


def _sent(sent: InvitationSent) -> dict[str, Any]:
    shown = {"id": str(sent.id), "status": "invited"}
    return {**shown, "link": sent.link} if sent.link else shown


@router.delete("/members/{user_id}", response={204: None})
def member_drop(request: HttpRequest, user_id: str) -> tuple[int, None]:
    """Remove a member whose role is not above one's own; open sockets end within half a minute, and so do the
    invitations that the member made."""
    principal = principal_of(request)
    principal.require("accounts:write")
    principal.require_role(access_member(principal.tenant_id, user_id).role)
    member_remove(tenant_id=principal.tenant_id, user_id=user_id, actor=principal.actor)
    return 204, None


@router.get("/invitations")
def invitations(request: HttpRequest) -> dict[str, Any]:
    """The organisation's unanswered invitations, without their links."""
    principal = principal_of(request)
    principal.require("accounts:read")
    rows = invitations_list(tenant_id=principal.tenant_id)
    return {"items": [row.as_dict() for row in rows], "next_cursor": None}


@router.post("/invitations/{invitation_id}/resend")
def invitation_again(request: HttpRequest, invitation_id: str) -> dict[str, Any]:
    """Send a new link, also of an invitation that has expired; the old link is dead. As for a first one, `link` is in
    this answer only where no mail server is set."""
    principal = principal_of(request)
    principal.require("accounts:write")
    found = invitation_get(tenant_id=principal.tenant_id, invitation_id=invitation_id)
    principal.require_role(found.role)
    return _sent(invitation_resend(tenant_id=principal.tenant_id, invitation_id=invitation_id, actor=principal.actor))


@router.delete("/invitations/{invitation_id}", response={204: None})
def invitation_drop(request: HttpRequest, invitation_id: str) -> tuple[int, None]:
    """Withdraw an invitation; its link is dead at once."""
    principal = principal_of(request)
    principal.require("accounts:write")
    found = invitation_get(tenant_id=principal.tenant_id, invitation_id=invitation_id)
    principal.require_role(found.role)
    invitation_revoke(tenant_id=principal.tenant_id, invitation_id=invitation_id, actor=principal.actor)
    return 204, None


@router.get("/settings")
def settings_show(request: HttpRequest) -> dict[str, Any]:
    """The organisation's settings, each with its default and effect."""
    principal = principal_of(request)
    principal.require("accounts:read")
    values = organization_settings(tenant_id=principal.tenant_id)
    return {
        name: {"value": values[name], "default": spec.default, "effect": spec.effect} for name, spec in SETTINGS.items()
    }


@router.patch("/settings")
def settings_change(request: HttpRequest, body: dict[str, Any] = Body(...)) -> dict[str, Any]:
    """Change settings by name; returns the value of each."""
    principal = principal_of(request)
    principal.require("accounts:write")
    return organization_settings_update(tenant_id=principal.tenant_id, values=body, actor=principal.actor)


@router.get("/api-keys")
def api_keys(request: HttpRequest) -> dict[str, Any]:
    """The organisation's keys, without their secrets."""
    principal = principal_of(request)
    principal.require("accounts:write")
    items = [
        {
            "id": str(key.id),
            "name": key.name,
            "prefix": key.prefix,
            "scopes": key.scopes,
            "created_at": key.created_at,
            "last_used_at": key.last_used_at,
            "revoked_at": key.revoked_at,
        }
        for key in api_keys_list(tenant_id=principal.tenant_id)
    ]
    return {"items": items, "next_cursor": None}


@router.post("/api-keys", response={201: dict})
def api_key_add(request: HttpRequest, body: ApiKeyIn) -> tuple[int, dict[str, Any]]:
    """Create a key with at most the caller's own scopes; the secret is in this answer only.

    Idempotency-Key is not honoured here: the stored answer would hold the secret.
    """
    principal = principal_of(request)
    principal.require("accounts:write")
    for scope in body.scopes:
        principal.require(scope)
    key, secret = api_key_create(
        tenant_id=principal.tenant_id, name=body.name, scopes=body.scopes, actor=principal.actor
    )
    return 201, {"id": str(key.id), "name": key.name, "prefix": key.prefix, "scopes": key.scopes, "secret": secret}


@router.delete("/api-keys/{key_id}", response={204: None})
def api_key_remove(request: HttpRequest, key_id: str) -> tuple[int, None]:
    """Revoke a key at once, with the invitations that were made with it. It may have no scope that the caller lacks."""
    principal = principal_of(request)
    principal.require("accounts:write")
    key = access_api_key(principal.tenant_id, key_id)
    for scope in key.scopes:
        principal.require(scope)
    api_key_revoke(tenant_id=principal.tenant_id, key_id=key.id, actor=principal.actor)
    return 204, None
