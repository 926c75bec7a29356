"""What an invited person may do without a key: look at an invitation, and answer it. nlpsuite/api.py limits how often."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth import login
from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from apps.accounts.access import ACTIVE_ORGANIZATION
from apps.accounts.models import User
from apps.accounts.selectors import invitation_preview
from apps.accounts.services import invitation_accept
from apps.accounts.types import ROLE_SCOPES, InvitationAccepted

router = Router(tags=["accounts"])


class InvitationLookIn(Schema, extra="forbid"):
    token: str = Field(max_length=200)


class InvitationAcceptIn(Schema, extra="forbid"):
    token: str = Field(max_length=200)
    password: str | None = Field(None, max_length=200)
    name: str | None = Field(None, max_length=120)


def _signed_in(request: HttpRequest) -> User | None:
    return cast(User, request.user) if request.user.is_authenticated else None


@router.post("/preview")
def invitation_look(request: HttpRequest, body: InvitationLookIn) -> dict[str, Any]:
    """What an invitation is for, and what its holder has to do: `state` is `new` (choose a password), `sign_in`,
    `wrong_account`, `unproven` or `ready`. One error, 404 `invitation_invalid`, for unknown, used, expired and revoked."""
    found = invitation_preview(token=body.token, user=_signed_in(request))
    return {
        "organization": found.organization,
        "email": found.email,
        "name": found.name,
        "role": found.role,
        "state": found.state,
    }


@router.post("/accept")
def invitation_answer(request: HttpRequest, body: InvitationAcceptIn) -> dict[str, Any]:
    """Join the organisation. Where the address has no account, one is made with this password and name; where it has
    one, only its own signed-in session accepts, without a password (409 `sign_in_required`, `wrong_account`,
    `address_unproven`)."""
    user = _signed_in(request)
    done = invitation_accept(token=body.token, user=user, password=body.password, name=body.name)
    signed_in = user is not None
    if done.made and request.own_page:  # type: ignore[attr-defined]
        # Only for our own page, which has the CSRF token: another site must not sign its visitors in as somebody.
        login(request, User.objects.get(id=done.user_id), backend="django.contrib.auth.backends.ModelBackend")
        signed_in = True
    if signed_in:
        request.session[ACTIVE_ORGANIZATION] = str(done.tenant_id)
    return _accepted(done, signed_in)


def _accepted(done: InvitationAccepted, signed_in: bool) -> dict[str, Any]:
    # Who may not write to visitors has no use for the inbox.
    page = "/inbox/" if "conversations:write" in ROLE_SCOPES[done.role] else "/studio/"
    return {
        "status": "accepted",
        "organization": {"id": str(done.tenant_id), "name": done.organization},
        "role": done.role,
        "signed_in": signed_in,
        "url": page,
    }
