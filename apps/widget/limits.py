"""How often visitors of one address, and of one inbox, may greet, begin a conversation and write."""

from __future__ import annotations

from django.conf import settings

from apps.conversations.types import InboxInfo
from apps.core.counts import Held
from apps.usage.services import rate_check

# Sockets of this process by inbox.
HELD = Held()


def visitors_check(kind: str, *, inbox: InboxInfo, address: str) -> None:
    """Count one "greeting", "visitor" (a first message) or "message" of an address and of an inbox.

    Raises RateLimited with the wait; Unavailable without Redis.
    """
    limits = settings.VISITOR_LIMITS[kind]
    of_address, of_inbox, share = limits["per_address"], limits["per_inbox"], limits["burst_share"]
    rate_check(
        scope="public",
        key=f"visitors:{kind}:{address}",
        limit=of_address,
        window_s=60,
        burst=max(1, of_address // share),
    )
    rate_check(
        scope=inbox.tenant_id,
        key=f"visitors:{kind}:{inbox.id}",
        limit=of_inbox,
        window_s=60,
        burst=max(1, of_inbox // share),
    )
