"""Roles, scopes and the principal: who speaks, for which organisation, with which rights."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from apps.core.errors import Forbidden

ROLES = ("owner", "admin", "agent", "analyst")
SCOPES = (
    "knowledge:read",
    "knowledge:write",
    "conversations:read",
    "conversations:write",
    "assistant:answer",
    "inference:use",
    "analysis:use",
    "analysis:write",
    "accounts:read",
    "accounts:write",
)
_ALL = frozenset(SCOPES)
ROLE_SCOPES: dict[str, frozenset[str]] = {
    "owner": _ALL,
    "admin": _ALL,
    "agent": frozenset(
        {
            "knowledge:read",
            "conversations:read",
            "conversations:write",
            "assistant:answer",
            "analysis:use",
            "accounts:read",
        }
    ),
    "analyst": frozenset(
        {
            "knowledge:read",
            "conversations:read",
            "assistant:answer",
            "inference:use",
            "analysis:use",
            "analysis:write",
            "accounts:read",
        }
    ),
}
# Nobody grants, removes or hands on a role of a higher rank than their own. Agents and analysts are of one rank: each
# may something that the other may not, and neither may change members.
ROLE_RANKS = {"owner": 3, "admin": 2, "agent": 1, "analyst": 1}
# Owners and admins have the same scopes, so a key's scopes cannot tell them apart: a key never speaks as an owner.
_KEY_ROLES = ("admin", "agent", "analyst")
# As many as members_list returns: a member that no list shows could not be removed.
MEMBERS_MAX = 500
# As many as invitations_list returns.
INVITATIONS_LISTED_MAX = 500


def role_rank(role: str) -> int:
    """Return the rank of a role; a higher number may do more, 0 is no role."""
    return ROLE_RANKS.get(role, 0)


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. `kind` is "api_key" or "user"; `id` is the key's or the user's."""

    tenant_id: uuid.UUID
    kind: str
    id: uuid.UUID
    name: str
    role: str
    scopes: frozenset[str]

    @property
    def actor(self) -> str:
        """How the log names this caller."""
        return f"{self.kind}:{self.id}"

    def require(self, scope: str) -> None:
        """Raise Forbidden unless the caller has the scope."""
        if scope not in self.scopes:
            raise Forbidden(f"This needs the scope {scope}.", code="scope_missing", details={"scope": scope})

    @property
    def rank(self) -> int:
        """The rank of the member's role; of an API key that of the highest role, below owner, whose scopes it has."""
        if self.kind == "user":
            return role_rank(self.role)
        return max((role_rank(role) for role in _KEY_ROLES if ROLE_SCOPES[role] <= self.scopes), default=0)

    def require_role(self, role: str) -> None:
        """Raise Forbidden unless the caller may give this role to somebody, or take it away: it has every scope of the
        role ("scope_missing") and is of its rank at least ("rank_too_low")."""
        for scope in sorted(ROLE_SCOPES[role]):
            self.require(scope)
        if self.rank < role_rank(role):
            raise Forbidden(
                f"This is above your own role: only an owner's own session decides about owners, and nobody about a role"
                f" above theirs ({role}).",
                code="rank_too_low",
                details={"role": role},
            )


class PresenceStatus(StrEnum):
    ONLINE = "online"
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class PresenceInfo:
    """What a member, or a program with a key, says of itself."""

    user_id: uuid.UUID
    status: PresenceStatus


@dataclass(frozen=True, slots=True)
class MemberInfo:
    id: uuid.UUID
    name: str
    email: str
    role: str


@dataclass(frozen=True, slots=True)
class InvitationInfo:
    """An invitation as its organisation sees it. `status` is "pending", or "expired" where its time is over or its inviter
    may not invite to this role any more: either way it works again when somebody who may sends it again."""

    id: uuid.UUID
    email: str
    name: str
    role: str
    status: str
    sent_by_mail: bool
    created_at: datetime
    expires_at: datetime

    def as_dict(self) -> dict[str, Any]:
        """The form that the API shows."""
        return {
            "id": str(self.id),
            "email": self.email,
            "name": self.name,
            "role": self.role,
            "status": self.status,
            "sent_by_mail": self.sent_by_mail,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
        }


@dataclass(frozen=True, slots=True)
class InvitationSent:
    """A new token is on its way: by e-mail, or in `link`, which is kept nowhere."""

    id: uuid.UUID
    link: str | None


@dataclass(frozen=True, slots=True)
class InvitationPreview:
    """What the holder of a token may know before accepting.

    `state` is "new" (the address has no account), "sign_in" (it has one, and nobody is signed in), "wrong_account"
    (somebody else is), "unproven" (its account must first show that the address is its own) or "ready".
    """

    organization: str
    email: str
    name: str
    role: str
    state: str


@dataclass(frozen=True, slots=True)
class InvitationAccepted:
    """Who joined what. `made` says that the account is new."""

    user_id: uuid.UUID
    tenant_id: uuid.UUID
    organization: str
    role: str
    made: bool


@dataclass(frozen=True, slots=True)
class AccountVerified:
    """What proving an address did. `password` is a new one, or None where the old one stays."""

    email: str
    changed: bool
    password: str | None


@dataclass(frozen=True)
class GuessLimits:
    """How often one kind of secret may be tried.

    `free` tries in a row cost nothing; each further one of the same address and account doubles the wait, from
    `first_wait_s` to `longest_wait_s`, until an hour has passed without one. `per_account` of all unknown devices and
    `per_address` of all accounts may be tried in an hour; 0 means that there is no such bound.
    """

    free: int
    first_wait_s: int
    longest_wait_s: int
    per_account: int
    per_address: int
