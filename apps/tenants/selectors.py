"""Reads on organisations."""

from __future__ import annotations

import uuid
from typing import Any

from apps.core.errors import NotFound
from apps.tenants.models import Organization
from apps.tenants.types import SETTINGS, OrganizationInfo


def organization_info(row: Organization) -> OrganizationInfo:
    """Return the plain value of a row."""
    return OrganizationInfo(id=row.id, name=row.name, slug=row.slug, is_demo=row.is_demo)


def organization_get(*, tenant_id: uuid.UUID) -> OrganizationInfo:
    """Return one organisation. Raises NotFound."""
    row = Organization.objects.filter(id=tenant_id).first()
    if row is None:
        raise NotFound("There is no such organisation.")
    return organization_info(row)


def organization_by_slug(*, slug: str) -> OrganizationInfo:
    """Return the organisation of a slug. Raises NotFound."""
    row = Organization.objects.filter(slug=slug).first()
    if row is None:
        raise NotFound(f"There is no organisation with the slug {slug!r}.")
    return organization_info(row)


def organization_demo() -> OrganizationInfo | None:
    """Return the demo organisation, or None when it was never seeded or is gone."""
    row = Organization.objects.filter(is_demo=True).order_by("created_at").first()
    return organization_info(row) if row else None


def organization_settings(*, tenant_id: uuid.UUID) -> dict[str, Any]:
    """Return every setting with its value or default."""
    stored = Organization.objects.filter(id=tenant_id).values_list("settings", flat=True).first() or {}
    return {key: stored.get(key, spec.default) for key, spec in SETTINGS.items()}


def organization_ids() -> list[uuid.UUID]:
    """Return the ids of all organisations, for maintenance that visits each in its own scope."""
    return list(Organization.objects.order_by("created_at").values_list("id", flat=True))
