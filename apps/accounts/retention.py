"""How long sessions of staff and answered invitations are kept."""

from __future__ import annotations

from datetime import datetime, timedelta

from apps.core.retention import retention, statement
from apps.core.tenancy import current_tenant_id

# An invitation is of use for so long after it was accepted, withdrawn or ran out; the audit trail tells of it for good.
INVITATIONS_KEPT = timedelta(days=90)
_SESSIONS = """
DELETE FROM django_session WHERE session_key = ANY(ARRAY(
  SELECT session_key FROM django_session WHERE expire_date < %(before)s LIMIT %(most)s
))
"""
_INVITATIONS = """
WITH old AS (
  SELECT id FROM accounts_invitation WHERE tenant_id = %(tenant)s
  AND COALESCE(accepted_at, revoked_at, expires_at) < %(before)s AND expires_at < now() LIMIT %(most)s
), gone AS (
  DELETE FROM accounts_credential USING old
  WHERE accounts_credential.tenant_id = %(tenant)s AND kind = 'invite' AND object_id = old.id
)
DELETE FROM accounts_invitation USING old WHERE accounts_invitation.id = old.id
"""


@retention("sessions", table="django_session", each_organization=False)
def sessions_prune(before: datetime, most: int) -> int:
    """Remove sessions that have ended; Django itself never does."""
    return statement(_SESSIONS, {"before": before, "most": most})


@retention("invitations", table="accounts_invitation")
def invitations_prune(before: datetime, most: int) -> int:
    """Remove invitations that nobody can answer any more, with what their links were looked up by."""
    return statement(_INVITATIONS, {"tenant": current_tenant_id(), "before": before - INVITATIONS_KEPT, "most": most})
