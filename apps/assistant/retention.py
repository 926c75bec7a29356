"""How long it is kept why the bot said something. The run itself, its decision and its model stay with the conversation."""

from __future__ import annotations

from datetime import datetime

from apps.core.retention import retention, statement
from apps.core.tenancy import current_tenant_id

_WHY = """
UPDATE assistant_reply SET model = COALESCE(NULLIF(model, ''), why->>'model', ''), why = '{}'::jsonb
WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM assistant_reply
  WHERE tenant_id = %(tenant)s AND finished_at < %(before)s AND NOT (why = '{}'::jsonb)
  ORDER BY finished_at LIMIT %(most)s
))
"""


@retention("why", table="assistant_reply", days_setting="RETENTION_WHY_DAYS")
def why_prune(before: datetime, most: int) -> int:
    """Empty the column of old runs: it holds copies of passages and of what was asked."""
    return statement(_WHY, {"tenant": current_tenant_id(), "before": before, "most": most})
