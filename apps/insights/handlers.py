"""What happens when something happened, and the long work of this app."""

from __future__ import annotations

import uuid

from apps.events.services import on
from apps.events.types import EventRecord
from apps.inference.services import space_build, space_build_ended
from apps.insights.services.annotations import ANNOTATE, annotations_hasten, message_annotate_run, message_read_later
from apps.insights.services.conversation_summaries import SUMMARIZE, conversation_summarize_run, summary_start
from apps.insights.services.message_vectors import BUILD, STORE
from apps.jobs.services import JobContext, job_end_hook, job_handler

# The names of the handlers are kept from the app that they came from: deliveries that are under way carry them.


@on("message.created", name="analysis.message_read", late=True)
def message_created(event: EventRecord) -> None:
    """Each message is read for language, sentiment and intent by a job; what the system notes is ours already."""
    if event.data["role"] != "system":
        message_read_later(
            tenant_id=event.tenant_id,
            conversation_id=event.subject_id,
            message_id=uuid.UUID(event.data["message_id"]),
            role=event.data["role"],
        )


@on("conversation.updated", name="analysis.conversation_read", late=True)
def conversation_updated(event: EventRecord) -> None:
    """Who takes a conversation over, and who looks it up later, finds a summary, and each message read."""
    changed = event.data.get("changed", {})
    if changed.get("status") == "resolved":
        summary_start(tenant_id=event.tenant_id, conversation_id=event.subject_id, reason="resolve")
    elif changed.get("handler") == "person":
        annotations_hasten(tenant_id=event.tenant_id, conversation_id=event.subject_id)
        summary_start(tenant_id=event.tenant_id, conversation_id=event.subject_id, reason="handoff")


@job_handler(BUILD)
def vectors_build_job(ctx: JobContext) -> None:
    """Make the messages' vectors in the space that is to serve next."""
    space_build(ctx, STORE)


job_end_hook(BUILD)(space_build_ended)
job_handler(ANNOTATE)(message_annotate_run)
job_handler(SUMMARIZE)(conversation_summarize_run)
