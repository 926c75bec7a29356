"""The tokens that an organisation may use in a day."""

from __future__ import annotations

import uuid

from apps.tenants.selectors import organization_settings
from apps.usage.services import quota_add, quota_check

# The key under which the model routes count, too: one budget for all text that models read and write.
_QUOTA = "tokens"


def tokens_check(*, tenant_id: uuid.UUID) -> None:
    """Raise RateLimited "quota_exceeded" when the day's tokens are used, Unavailable without Redis."""
    limit = organization_settings(tenant_id=tenant_id)["tokens_per_day"]
    quota_check(scope=tenant_id, key=_QUOTA, limit=limit)


def tokens_add(*, tenant_id: uuid.UUID, tokens: int) -> None:
    """Count tokens against the organisation's day."""
    quota_add(scope=tenant_id, key=_QUOTA, amount=tokens)
