"""Runs of the bot in conversations: start, generate, end. Every contact message is covered by exactly one run."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

import structlog
from django.db import transaction

from apps.assistant.models import Reply
from apps.assistant.selectors import abstentions_in_a_row, covered_seq, replies_active_count, reply_active
from apps.assistant.services.answering import AnswerRun
from apps.assistant.services.phrases import phrase
from apps.assistant.types import Answer, Question
from apps.conversations.selectors import (
    answered_seq,
    conversation_get,
    inbox_get,
    messages_after,
    messages_before,
)
from apps.conversations.services import NewConversation, conversation_handoff, conversation_lock, message_post
from apps.conversations.types import ConversationInfo
from apps.core.clock import now
from apps.core.errors import AppError, Cancelled
from apps.core.tenancy import tenant_scope
from apps.events.services import conversation_group, event_record, hint_send, queue_group
from apps.inference.services import (
    StreamWriter,
    cancel_request,
    generation_permit,
    stop_signal,
    stream_read_sync,
    text_of,
)
from apps.jobs.services import JobContext, job_cancel, job_enqueue
from apps.tenants.selectors import organization_settings

log = structlog.get_logger(__name__)
KIND = "assistant.reply_generate"
HISTORY = 6
ACTIVE = (Reply.Status.QUEUED, Reply.Status.RUNNING)
REPLY_DEADLINE_S = 40.0


def reply_start(*, tenant_id: uuid.UUID, conversation_id: uuid.UUID) -> uuid.UUID | None:
    """Start a run over the contact messages that no run covers and no person answered; None when there are none.

    While a run is active nothing starts: its end looks for messages that arrived meanwhile. Above the organisation's
    limit the run is written as failed with code "busy", so that the visitor is told instead of waiting.
    """
    with tenant_scope(tenant_id):
        conversation = conversation_lock(tenant_id=tenant_id, conversation_id=conversation_id)
        if conversation.handler != "bot" or reply_active(tenant_id=tenant_id, conversation_id=conversation_id):
            return None
        answered = answered_seq(tenant_id=tenant_id, conversation_id=conversation_id)
        after_seq = max(covered_seq(conversation_id), answered)
        waiting, _ = messages_after(
            tenant_id=tenant_id, conversation_id=conversation_id, after_seq=after_seq, limit=100, staff=True
        )
        asked = [m for m in waiting if m.role == "contact"]
        if not asked:
            return None
        limit = organization_settings(tenant_id=tenant_id)["max_active_replies"]
        reply = Reply(conversation_id=conversation_id, covers_from_seq=asked[0].seq, covers_to_seq=asked[-1].seq)
        if replies_active_count() >= limit:
            reply.status, reply.error_code, reply.finished_at = Reply.Status.FAILED, "busy", now()
            reply.save(force_insert=True)
            _tell_ended(reply)
            return reply.id
        reply.save(force_insert=True)
        reply.job_id = job_enqueue(
            tenant_id=tenant_id,
            kind=KIND,
            payload={"reply_id": str(reply.id)},
            queue="inference",
            unique_key=str(reply.id),
        )
        reply.save(update_fields=["job_id"])
        return reply.id


def reply_cancel(*, tenant_id: uuid.UUID, conversation_id: uuid.UUID) -> None:
    """Stop the active run, in the engine too. Its reply ends as cancelled."""
    with tenant_scope(tenant_id):
        # Locks in the order of a run's end: conversation, job, reply.
        conversation_lock(tenant_id=tenant_id, conversation_id=conversation_id)
        active = Reply.objects.filter(conversation_id=conversation_id, status__in=ACTIVE).first()
        if active is None:
            return
        # A job between two attempts ends here, although its reply is running.
        ended = active.job_id is None or job_cancel(tenant_id=tenant_id, job_id=active.job_id)
        if ended or active.status == Reply.Status.QUEUED:
            _end_without_message(active, Reply.Status.CANCELLED, "cancelled")
        # After the commit, and without it when Redis is away: the job's own cancellation ends the run a step later.
        transaction.on_commit(partial(cancel_request, tenant_id, str(active.id)), robust=True)


def replies_settled(*, tenant_id: uuid.UUID, conversation_id: uuid.UUID) -> None:
    """Note that the conversation was resolved: what the bot could not answer before counts no more."""
    with tenant_scope(tenant_id):
        Reply.objects.filter(conversation_id=conversation_id, settled=False).exclude(status__in=ACTIVE).update(
            settled=True
        )


def handoff_request(*, tenant_id: uuid.UUID, conversation_id: uuid.UUID, new: NewConversation) -> None:
    """The visitor asks for a person by the button: hand over at once, telling so in one bot message."""
    with tenant_scope(tenant_id):
        inbox = inbox_get(tenant_id=tenant_id, inbox_id=new.visitor.inbox_id)
        first, _ = messages_after(tenant_id=tenant_id, conversation_id=conversation_id, limit=1, staff=True)
        if not first:
            message_post(
                tenant_id=tenant_id,
                conversation_id=conversation_id,
                role="contact",
                text=phrase("want_person", inbox.locale),
                new=new,
                actor="visitor",
            )
        if not conversation_handoff(
            tenant_id=tenant_id, conversation_id=conversation_id, reason="visitor_asked", actor="visitor"
        ):
            return
        message_post(
            tenant_id=tenant_id,
            conversation_id=conversation_id,
            role="bot",
            text=phrase("handoff", inbox.locale),
            decision="handoff",
            actor="bot",
        )
        reply_cancel(tenant_id=tenant_id, conversation_id=conversation_id)


def reply_overdue(*, tenant_id: uuid.UUID, conversation_id: uuid.UUID) -> bool:
    """Give a conversation whose last word is the contact's to people, telling so in one bot message; returns whether it was.

    For whoever sees that the bot says nothing: what is away, or hangs, cannot tell. The run is cancelled.
    """
    with tenant_scope(tenant_id):
        conversation = conversation_lock(tenant_id=tenant_id, conversation_id=conversation_id)
        if conversation.last_role != "contact" or not conversation_handoff(
            tenant_id=tenant_id, conversation_id=conversation_id, reason="model_away", actor="bot"
        ):
            return False
        inbox = inbox_get(tenant_id=tenant_id, inbox_id=conversation.inbox_id)
        message_post(
            tenant_id=tenant_id,
            conversation_id=conversation_id,
            role="bot",
            text=phrase("handoff_away", conversation.locale or inbox.locale),
            decision="handoff",
            actor="bot",
        )
        reply_cancel(tenant_id=tenant_id, conversation_id=conversation_id)
        return True


# -- the worker's side -----------------------------------------------------------------------------------------------
def reply_generate(ctx: JobContext) -> None:
    """Run one reply: release sentences to its stream, then commit the message and the run's end in one transaction."""
    reply_id = uuid.UUID(ctx.payload["reply_id"])
    with tenant_scope(ctx.tenant_id):
        # One statement: a cancellation between a look and a write would be undone.
        if not Reply.objects.filter(id=reply_id, status__in=ACTIVE).update(status=Reply.Status.RUNNING):
            return
        reply = Reply.objects.get(id=reply_id)
    writer = StreamWriter(ctx.tenant_id, str(reply_id))
    _hint_start(reply)
    try:
        answer = _interrupted(reply) or _answer(ctx, reply, writer)
        message_id = _commit(ctx, reply, answer)
    except Cancelled:
        writer.end("cancelled", code="cancelled")
        raise
    except AppError as error:
        if _gone(reply):
            writer.end("cancelled", code="cancelled")
            raise Cancelled("The conversation was deleted.") from None
        _commit_failure(ctx, reply, error.code)
        writer.end("failed", code=error.code)
        return
    writer.end("done", data={"message_id": str(message_id)})


def _gone(reply: Reply) -> bool:
    with tenant_scope(reply.tenant_id):
        return not Reply.objects.filter(id=reply.id).exists()


def _hint_start(reply: Reply) -> None:
    hint = {"reply": "start", "reply_id": str(reply.id), "conversation_id": str(reply.conversation_id)}
    hint_send(conversation_group(reply.tenant_id, reply.conversation_id), hint)


def _interrupted(reply: Reply) -> Answer | None:
    """What an attempt that died had released already is kept as the answer: a visitor has read it, and it was checked."""
    entries = stream_read_sync(reply.tenant_id, str(reply.id))
    text = text_of(entries)
    if not text:
        return None
    marks = [entry.data for entry in entries if entry.kind == "mark"]
    kind = next((m["decision"] for m in marks if "decision" in m), "answer")
    citations: list[dict[str, Any]] = []
    for mark in marks:
        # Each sentence names its passage; the message names each passage once, as a whole run does.
        if "citation" in mark and mark["citation"] not in citations:
            citations.append(mark["citation"])
    return Answer(kind, "interrupted", text, citations, why={"interrupted": True})


def _answer(ctx: JobContext, reply: Reply, writer: StreamWriter) -> Answer:
    with tenant_scope(ctx.tenant_id):
        conversation = conversation_get(tenant_id=ctx.tenant_id, conversation_id=reply.conversation_id)
        question = _question(conversation, reply)
    with (
        generation_permit(tenant_id=ctx.tenant_id, key=str(reply.id), deadline_s=REPLY_DEADLINE_S),
        stop_signal(ctx.tenant_id, str(reply.id)) as stopped,
    ):
        run = AnswerRun(
            question, release=writer.append, note=writer.mark, should_stop=lambda: stopped() or ctx.lost.is_set()
        )
        return run.run()


def _question(conversation: ConversationInfo, reply: Reply) -> Question:
    tenant_id = conversation.tenant_id
    inbox = inbox_get(tenant_id=tenant_id, inbox_id=conversation.inbox_id)
    covered, _ = messages_after(
        tenant_id=tenant_id, conversation_id=conversation.id, after_seq=reply.covers_from_seq - 1, limit=100, staff=True
    )
    asked = [m.text for m in covered if m.role == "contact" and m.seq <= reply.covers_to_seq]
    before = messages_before(
        tenant_id=tenant_id, conversation_id=conversation.id, before_seq=reply.covers_from_seq, limit=HISTORY
    )
    return Question(
        tenant_id=tenant_id,
        text="\n".join(asked)[-4000:],
        history=tuple((m.role, m.text) for m in before),
        collections=inbox.collections,
        locale=conversation.locale or inbox.locale,
        abstentions=abstentions_in_a_row(conversation.id),
    )


def _commit(ctx: JobContext, reply: Reply, answer: Answer) -> uuid.UUID:
    with ctx.finishing():
        conversation = conversation_lock(tenant_id=ctx.tenant_id, conversation_id=reply.conversation_id)
        if conversation.handler != "bot":
            raise Cancelled("A person has taken over.")
        posted = message_post(
            tenant_id=ctx.tenant_id,
            conversation_id=reply.conversation_id,
            role="bot",
            text=answer.text,
            citations=answer.citations,
            decision=answer.decision,
            reply_id=reply.id,
            actor="bot",
        )
        Reply.objects.filter(id=reply.id).update(
            status=Reply.Status.DONE,
            decision=answer.decision,
            reason=answer.reason,
            message_id=posted.message.id,
            why=answer.why,
            model=_model_of(answer.why),
            finished_at=now(),
        )
        if answer.decision == "handoff":
            conversation_handoff(
                tenant_id=ctx.tenant_id,
                conversation_id=reply.conversation_id,
                reason=answer.reason,
                actor="bot",
            )
        _next(reply)
        return posted.message.id


def _model_of(why: dict[str, Any]) -> str:
    """Name and revision of the model of a run, empty for one whose attempt was cut short."""
    return "@".join(part for part in (why.get("model", ""), why.get("model_revision", "")) if part)[:160]


def _commit_failure(ctx: JobContext, reply: Reply, code: str) -> None:
    with ctx.finishing():
        conversation_lock(tenant_id=ctx.tenant_id, conversation_id=reply.conversation_id)
        _end_without_message(reply, Reply.Status.FAILED, code)
        ctx.fail(code, "The reply could not be generated.")


def reply_job_ended(ctx: JobContext, status: str, code: str) -> None:
    """The job ended without finishing its reply (cancelled, dead): end the reply too, in the same transaction."""
    reply = Reply.objects.filter(id=ctx.payload["reply_id"], status__in=ACTIVE).first()
    if reply is not None:
        conversation_lock(tenant_id=ctx.tenant_id, conversation_id=reply.conversation_id)
        final = Reply.Status.CANCELLED if status == "cancelled" else Reply.Status.FAILED
        _end_without_message(reply, final, code)


def _end_without_message(reply: Reply, status: str, code: str) -> None:
    active = Reply.objects.filter(id=reply.id, status__in=ACTIVE)
    if not active.update(status=status, error_code=code, finished_at=now()):
        return
    reply.status, reply.error_code = status, code
    _tell_ended(reply)
    _next(reply)


def _tell_ended(reply: Reply) -> None:
    data: dict[str, Any] = {"reply_id": str(reply.id), "status": str(reply.status), "code": reply.error_code}
    event_record(
        type="reply.ended", subject_type="conversation", subject_id=reply.conversation_id, data=data, actor="bot"
    )


def _next(reply: Reply) -> None:
    """Messages that arrived during the run get theirs; the conversation is locked, so none slips between."""
    reply_start(tenant_id=reply.tenant_id, conversation_id=reply.conversation_id)


def reply_hint_ended(*, tenant_id: uuid.UUID, conversation_id: uuid.UUID, data: dict[str, Any]) -> None:
    """Tell the sockets that watch the conversation that a reply ended without a message."""
    hint = {"reply": "ended", "conversation_id": str(conversation_id), **data}
    hint_send(conversation_group(tenant_id, conversation_id), hint)
    hint_send(queue_group(tenant_id), hint)
