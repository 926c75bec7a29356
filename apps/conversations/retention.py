"""How long visitors' tokens are kept. Conversations, messages and drafts stay until they are deleted."""

from __future__ import annotations

from datetime import datetime

from apps.conversations.services.visitors import LIFETIME
from apps.core.retention import retention, statement
from apps.core.tenancy import current_tenant_id

_TOKENS = """
DELETE FROM conversations_visitortoken WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM conversations_visitortoken WHERE tenant_id = %(tenant)s AND expires_at < %(before)s
  ORDER BY expires_at LIMIT %(most)s
))
"""


@retention("visitor_tokens", table="conversations_visitortoken")
def visitor_tokens_prune(before: datetime, most: int) -> int:
    """Remove tokens that ended longer ago than a token lives: their seal has ended too, so none is taken for a new one."""
    return statement(_TOKENS, {"tenant": current_tenant_id(), "before": before - LIFETIME, "most": most})
