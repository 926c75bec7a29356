"""Writes on organisations."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.utils.text import slugify

from apps.core.errors import Conflict, Invalid, NotFound
from apps.core.tenancy import tenant_scope
from apps.events.services import audit_record, events_forget
from apps.tenants.erasing import rows_erase, tables_to_erase
from apps.tenants.models import Organization
from apps.tenants.selectors import organization_info
from apps.tenants.types import SETTINGS, OrganizationInfo

# A row takes along what points at it and is looked up for in each such table: a second or two for so many.
ERASE_ROWS = 5_000


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


def organization_delete(*, tenant_id: uuid.UUID, actor: str = "") -> None:
    """Delete the organisation with every row and file that belongs to it, ERASE_ROWS rows in a transaction.

    Nobody gets in from the first step on. Cut short, it goes on when it is called again. The audit trail stays, with a
    row on this: who deleted what must outlive what was deleted. Raises NotFound.
    """
    with tenant_scope(tenant_id):
        if not Organization.objects.filter(id=tenant_id).exists():
            raise NotFound("There is no such organisation.")
        audit_record(action="organization.deleted", actor=actor, target=str(tenant_id))
    for table in tables_to_erase():
        _until_none(tenant_id, partial(rows_erase, tenant_id=tenant_id, table=table, most=ERASE_ROWS))
    _until_none(tenant_id, partial(events_forget, most=ERASE_ROWS))
    _files_delete(str(tenant_id))
    with tenant_scope(tenant_id):
        # With it goes what was written meanwhile by whoever was in already.
        Organization.objects.filter(id=tenant_id)._raw_delete("default")


def _until_none(tenant_id: uuid.UUID, erase: Callable[[], int]) -> None:
    """Repeat, each time in a transaction of its own, until nothing is left."""
    while True:
        with tenant_scope(tenant_id):
            if not erase():
                return


def _files_delete(folder: str) -> None:
    if default_storage.exists(folder):
        for name in default_storage.listdir(folder)[1]:
            default_storage.delete(f"{folder}/{name}")
        default_storage.delete(folder)
