"""Writes on organisations."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from apps.core.errors import Conflict, Invalid, NotFound
from apps.core.tenancy import tenant_scope
from apps.events.services import audit_record, events_forget
from apps.tenants.models import Organization
from apps.tenants.selectors import organization_info
from apps.tenants.types import SETTINGS, OrganizationInfo


def organization_create(*, name: str, slug: str = "", is_demo: bool = False, actor: str = "") -> OrganizationInfo:
    """Create an organisation. Raises Invalid for an empty name, Conflict when the slug is taken. Writes an audit row."""
    name = name.strip()
    if not name or len(name) > 120:
        raise Invalid("An organisation needs a name of 1 to 120 characters.", code="name_invalid")
    try:
        with transaction.atomic():
            row = Organization.objects.create(name=name, slug=(slug or slugify(name) or "org")[:60], is_demo=is_demo)
    except IntegrityError:
        raise Conflict("An organisation with this slug exists.", code="slug_taken") from None
    with tenant_scope(row.id):
        audit_record(action="organization.created", actor=actor, target=str(row.id), data={"name": name})
    return organization_info(row)


def organization_settings_update(*, tenant_id: uuid.UUID, values: dict[str, Any], actor: str) -> dict[str, Any]:
    """Set known settings and return all of them. Raises Invalid naming the first key or value that is not allowed."""
    for key, value in values.items():
        if key not in SETTINGS or not SETTINGS[key].valid(value):
            raise Invalid(f"The setting {key!r} is unknown or has a value that is not allowed.", code="setting_invalid")
    with tenant_scope(tenant_id):
        row = Organization.objects.select_for_update().filter(id=tenant_id).first()
        if row is None:
            raise NotFound()
        row.settings = {**row.settings, **values}
        row.save(update_fields=["settings"])
        audit_record(action="organization.settings_changed", actor=actor, target=str(tenant_id), data=values)
        return {key: row.settings.get(key, spec.default) for key, spec in SETTINGS.items()}


def organization_delete(*, tenant_id: uuid.UUID) -> None:
    """Delete the organisation, its events and, by the database's cascades, every row that belongs to it.

    The audit trail stays: who deleted what must outlive what was deleted.
    """
    with tenant_scope(tenant_id):
        events_forget()
        Organization.objects.filter(id=tenant_id)._raw_delete("default")
