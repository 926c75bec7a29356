"""Job handlers of the knowledge base."""

from __future__ import annotations

from apps.events.services import event_declare
from apps.jobs.services import JobContext, job_end_hook, job_handler
from apps.knowledge.services import FILES_DELETE, INGEST, files_delete, source_ingest, source_job_ended

event_declare("source.ready", "source.failed", "source.deleted")
job_handler(INGEST)(source_ingest)
job_end_hook(INGEST)(source_job_ended)


@job_handler(FILES_DELETE)
def files_delete_job(ctx: JobContext) -> None:
    """Remove the stored files of a source that was deleted."""
    files_delete(tenant_id=ctx.tenant_id, names=ctx.payload["names"])
