"""Whose job a worker takes next: that of the organisation with the least running, not of the one that asked most.

A hint of the broker stands for "a job of this queue waits"; hints come in the order in which jobs were made, so an
organisation that makes 20,000 would keep everybody behind it waiting. Here a hint is spent on the job that is fair.
"""

from __future__ import annotations

import uuid

from django.db import connection

from apps.jobs.models import JobDispatch
from apps.jobs.services.enqueue import fresh_until

# Each organisation with fresh jobs in the queue is found by one step in an index, however many jobs it has.
_FAIREST = """
WITH RECURSIVE waiting(tenant_id) AS (
  (SELECT tenant_id FROM jobs_jobdispatch WHERE queue = %(queue)s AND status = 'queued' AND attempts = 0
   ORDER BY tenant_id LIMIT 1)
  UNION ALL
  SELECT (SELECT d.tenant_id FROM jobs_jobdispatch d
          WHERE d.queue = %(queue)s AND d.status = 'queued' AND d.attempts = 0 AND d.tenant_id > waiting.tenant_id
          ORDER BY d.tenant_id LIMIT 1)
  FROM waiting WHERE waiting.tenant_id IS NOT NULL
)
SELECT oldest.job_id, waiting.tenant_id, busy.running
FROM waiting
CROSS JOIN LATERAL (
  SELECT job_id, next_attempt_at FROM jobs_jobdispatch d
  WHERE d.queue = %(queue)s AND d.status = 'queued' AND d.attempts = 0 AND d.tenant_id = waiting.tenant_id
  AND d.next_attempt_at <= %(due)s
  ORDER BY next_attempt_at LIMIT 1
) oldest
CROSS JOIN LATERAL (
  SELECT count(*) AS running FROM jobs_jobdispatch d
  WHERE d.queue = %(queue)s AND d.status = 'running' AND d.lease_until > now() AND d.tenant_id = waiting.tenant_id
) busy
WHERE waiting.tenant_id IS NOT NULL
ORDER BY busy.running, oldest.next_attempt_at LIMIT 1
"""


def job_pick(hinted: uuid.UUID) -> uuid.UUID:
    """Return the job to run for a hint: the hinted one, or that of an organisation with fewer running jobs.

    A hint whose own job has been taken is spent on another that waits, since that one's hint may have been spent
    here. Jobs that were tried before or made for later run on their own hints only: they wait for their time.
    """
    row = JobDispatch.objects.filter(job_id=hinted).first()
    if row is None:
        return hinted
    with connection.cursor() as cursor:
        cursor.execute(_FAIREST, {"queue": row.queue, "due": fresh_until()})
        found = cursor.fetchone()
    if found is None:
        return hinted
    job_id, tenant_id, running = found
    if row.status != JobDispatch.Status.QUEUED:
        # A job whose lease ran out is the sweeper's to hint at again, as queued.
        return job_id
    if tenant_id == row.tenant_id:
        return hinted
    mine = JobDispatch.objects.filter(queue=row.queue, status="running", tenant_id=row.tenant_id).count()
    return job_id if running < mine else hinted
