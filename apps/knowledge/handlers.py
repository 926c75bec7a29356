"""Job handlers of the knowledge base."""

from __future__ import annotations

from apps.events.services import event_declare
from apps.inference.services import space_build, space_build_ended
from apps.jobs.services import JobContext, job_end_hook, job_handler
from apps.knowledge.services import FILES_DELETE, INGEST, files_delete, source_ingest, source_job_ended
from apps.knowledge.services.vectors import BUILD, STORE

event_declare("source.ready", "source.failed", "source.deleted")
job_handler(INGEST)(source_ingest)
job_end_hook(INGEST)(source_job_ended)
job_end_hook(BUILD)(space_build_ended)


@job_handler(BUILD)
def vectors_build_job(ctx: JobContext) -> None:
    """Make the passages' vectors in the space that is to serve next."""
    space_build(ctx, STORE)


@job_handler(FILES_DELETE)
def files_delete_job(ctx: JobContext) -> None:
    """Remove the stored files of a source that was deleted."""
    files_delete(tenant_id=ctx.tenant_id, names=ctx.payload["names"])
