"""How long jobs that have ended are kept."""

from __future__ import annotations

from datetime import datetime

from apps.core.retention import retention, statement
from apps.core.tenancy import current_tenant_id

_JOBS = """
WITH old AS (
  SELECT j.id FROM jobs_job j WHERE j.tenant_id = %(tenant)s AND j.finished_at < %(before)s
  AND NOT EXISTS (SELECT 1 FROM jobs_jobdispatch d WHERE d.job_id = j.id AND d.status IN ('queued', 'running'))
  ORDER BY j.finished_at LIMIT %(most)s
), gone AS (
  DELETE FROM jobs_jobdispatch USING old WHERE job_id = old.id
)
DELETE FROM jobs_job USING old WHERE jobs_job.id = old.id
"""


@retention("jobs", table="jobs_job", days_setting="RETENTION_JOBS_DAYS")
def jobs_prune(before: datetime, most: int) -> int:
    """Remove jobs of the open scope's organisation that ended, however they ended, with their dispatch rows."""
    return statement(_JOBS, {"tenant": current_tenant_id(), "before": before, "most": most})
