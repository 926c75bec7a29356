"""How long sessions of staff are kept: until they end."""

from __future__ import annotations

from datetime import datetime

from apps.core.retention import retention, statement

_SESSIONS = """
DELETE FROM django_session WHERE session_key = ANY(ARRAY(
  SELECT session_key FROM django_session WHERE expire_date < %(before)s LIMIT %(most)s
))
"""


@retention("sessions", table="django_session", each_organization=False)
def sessions_prune(before: datetime, most: int) -> int:
    """Remove sessions that have ended; Django itself never does."""
    return statement(_SESSIONS, {"before": before, "most": most})
