"""What the bot does when something happens in a conversation."""

from __future__ import annotations

from contextlib import suppress

from apps.assistant.services import (
    draft_generate,
    draft_job_ended,
    draft_start,
    replies_settled,
    reply_cancel,
    reply_generate,
    reply_hint_ended,
    reply_job_ended,
    reply_start,
)
from apps.conversations.services import conversation_lock
from apps.core.errors import NotFound
from apps.events.services import on
from apps.events.types import EventRecord
from apps.jobs.services import job_end_hook, job_handler


@on("message.created", name="assistant.message_answer")
def message_created(event: EventRecord) -> None:
    """A contact's message starts a run; a public message of an agent ends the active one."""
    with suppress(NotFound):  # deleted since
        if event.data["role"] == "contact":
            reply_start(tenant_id=event.tenant_id, conversation_id=event.subject_id)
        elif event.data["role"] == "agent" and not event.data["private"]:
            reply_cancel(tenant_id=event.tenant_id, conversation_id=event.subject_id)


@on("conversation.updated", name="assistant.conversation_follow")
def conversation_updated(event: EventRecord) -> None:
    """Taking over and resolving end the active run; giving back to the bot starts one for what nobody answered."""
    changed = event.data.get("changed", {})
    if "handler" not in changed and "status" not in changed:
        return
    # As it is now: the event may be late, and the conversation given back or reopened since.
    try:
        present = conversation_lock(tenant_id=event.tenant_id, conversation_id=event.subject_id)
    except NotFound:
        return
    if changed.get("status") == "resolved":
        replies_settled(tenant_id=event.tenant_id, conversation_id=event.subject_id)
    if present.handler == "person" or present.status == "resolved":
        reply_cancel(tenant_id=event.tenant_id, conversation_id=event.subject_id)
    elif changed.get("handler") == "bot":
        reply_start(tenant_id=event.tenant_id, conversation_id=event.subject_id)


@on("reply.ended", name="assistant.reply_end_tell")
def reply_ended(event: EventRecord) -> None:
    """Sockets learn that a reply ended without a message."""
    reply_hint_ended(tenant_id=event.tenant_id, conversation_id=event.subject_id, data=event.data)


@on("draft.requested", name="assistant.draft_start")
def draft_requested(event: EventRecord) -> None:
    """A draft is written by a worker."""
    draft_start(tenant_id=event.tenant_id, draft_id=event.subject_id)


job_handler("assistant.reply_generate")(reply_generate)
job_end_hook("assistant.reply_generate")(reply_job_ended)
job_handler("assistant.draft_generate")(draft_generate)
job_end_hook("assistant.draft_generate")(draft_job_ended)
