"""The narrow table that secrets are looked up in before an organisation is known."""

from __future__ import annotations

import uuid
from datetime import datetime

from apps.accounts.access import credential_digest
from apps.accounts.models import Credential


def credential_create(
    *, tenant_id: uuid.UUID, kind: str, object_id: uuid.UUID, secret: str, expires_at: datetime | None = None
) -> None:
    """Store the digest of a secret so that it can be looked up before its tenant is known."""
    Credential.objects.create(
        digest=credential_digest(secret), tenant_id=tenant_id, kind=kind, object_id=object_id, expires_at=expires_at
    )
