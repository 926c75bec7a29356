"""How long events and deliveries that did not end well are kept. The audit trail is exempt: nothing may remove it."""

from __future__ import annotations

from datetime import datetime

from apps.core.retention import retention, statement
from apps.core.tenancy import current_tenant_id

# Each type is one step in the index (tenant_id, type, created_at), and its old events stand first there.
_EVENTS = """
WITH RECURSIVE kinds(type) AS (
  (SELECT type FROM events_event WHERE tenant_id = %(tenant)s ORDER BY type LIMIT 1)
  UNION ALL
  SELECT (SELECT e.type FROM events_event e WHERE e.tenant_id = %(tenant)s AND e.type > kinds.type ORDER BY e.type LIMIT 1)
  FROM kinds WHERE kinds.type IS NOT NULL
)
DELETE FROM events_event WHERE ctid = ANY(ARRAY(
  SELECT old.ctid FROM kinds CROSS JOIN LATERAL (
    SELECT e.ctid FROM events_event e
    WHERE e.tenant_id = %(tenant)s AND e.type = kinds.type AND e.created_at < %(before)s
    ORDER BY e.created_at LIMIT %(most)s
  ) old
  WHERE kinds.type IS NOT NULL LIMIT %(most)s
))
"""
_DELIVERIES = """
DELETE FROM events_delivery WHERE id = ANY(ARRAY(
  SELECT id FROM events_delivery WHERE state IN ('dead', 'unknown') AND NOT (state = 'pending')
  AND created_at < %(before)s LIMIT %(most)s
))
"""
_DEAD_ENTRIES = """
DELETE FROM events_outboxentry WHERE id = ANY(ARRAY(
  SELECT id FROM events_outboxentry WHERE state = 'dead' AND next_attempt_at < %(before)s LIMIT %(most)s
))
"""


@retention("events", table="events_event", days_setting="RETENTION_EVENTS_DAYS")
def events_prune(before: datetime, most: int) -> int:
    """Remove old events of the open scope's organisation. A delivery that is left over finds nothing to tell, and ends."""
    return statement(_EVENTS, {"tenant": current_tenant_id(), "before": before, "most": most})


@retention("deliveries", table="events_delivery", days_setting="RETENTION_DELIVERIES_DAYS", each_organization=False)
def deliveries_prune(before: datetime, most: int) -> int:
    """Remove dead deliveries, and those that no version came for. Those that end well are removed at once."""
    return statement(_DELIVERIES, {"before": before, "most": most})


@retention("outbox", table="events_outboxentry", days_setting="RETENTION_DELIVERIES_DAYS", each_organization=False)
def outbox_prune(before: datetime, most: int) -> int:
    """Remove entries that died in a version before deliveries. Unknown ones go after their event."""
    return statement(_DEAD_ENTRIES, {"before": before, "most": most})
