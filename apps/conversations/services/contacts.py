"""Contacts: people as an identity names them. They are found by a proven id alone, never by a name or an address."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import Any

from apps.conversations.models import Contact
from apps.conversations.services.terms import contact_terms_add, contact_terms_write
from apps.conversations.types import Identity


def contact_of_identity(identity: Identity | None, attributes: dict[str, str]) -> uuid.UUID:
    """Return the contact of a proven id, or a new one, in the open scope; what the identity says is kept with it."""
    known = None
    if identity is not None:
        known = Contact.objects.filter(external_id=identity.id, verified=True).values_list("id", flat=True).first()
    if known is not None and identity is not None:
        contact_told(known, identity)
        return known
    said = asdict(identity) if identity is not None else {}
    return contact_create(
        name=said.get("name", ""),
        email=said.get("email", ""),
        name_verified=said.get("name_proven", False),
        email_verified=said.get("email_proven", False),
        external_id=said.get("id", ""),
        verified=identity is not None,
        attributes=attributes,
    )


def contact_create(**values: Any) -> uuid.UUID:
    """Insert a contact in the open scope, with the terms that it is searched by."""
    row = Contact.objects.create(termed=True, **values)
    contact_terms_add([row])
    return row.id


def contact_told(contact_id: uuid.UUID, identity: Identity) -> None:
    """Keep what an identity says of its contact, in the open scope: what is proven replaces what is there, what is only
    said replaces nothing that was proven."""
    rows, changed = Contact.objects.filter(id=contact_id), 0
    for name in ("name", "email"):
        value, proven = getattr(identity, name), getattr(identity, f"{name}_proven")
        if value and proven:
            other = rows.exclude(**{name: value, f"{name}_verified": True})
            changed += other.update(**{name: value, f"{name}_verified": True})
        elif value:
            other = rows.filter(**{f"{name}_verified": False}).exclude(**{name: value})
            changed += other.update(**{name: value})
    if changed:
        contact_terms_write([contact_id])
