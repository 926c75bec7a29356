"""Reads on members and keys."""

from __future__ import annotations

import uuid

from apps.accounts.models import ApiKey, Membership
from apps.accounts.types import MemberInfo
from apps.core.tenancy import tenant_scope


def members_list(*, tenant_id: uuid.UUID) -> list[MemberInfo]:
    """Return the organisation's members (at most 500), by name."""
    rows = Membership.objects.filter(tenant_id=tenant_id).select_related("user").order_by("user__name")[:500]
    return [MemberInfo(m.user_id, m.user.get_short_name(), m.user.email, m.role) for m in rows]


def member_names(*, tenant_id: uuid.UUID, user_ids: set[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Return the display names of those of the ids that are members."""
    rows = Membership.objects.filter(tenant_id=tenant_id, user_id__in=user_ids).select_related("user")
    return {m.user_id: m.user.get_short_name() for m in rows}


def api_keys_list(*, tenant_id: uuid.UUID) -> list[ApiKey]:
    """Return the organisation's keys, newest first (at most 200)."""
    with tenant_scope(tenant_id):
        return list(ApiKey.objects.order_by("-created_at")[:200])
