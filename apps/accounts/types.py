"""Roles, scopes and the principal: who speaks, for which organisation, with which rights."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class MemberInfo:
    id: uuid.UUID
    name: str
    email: str
    role: str
