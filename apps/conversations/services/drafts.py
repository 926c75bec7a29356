"""Drafts: what the model wrote for an agent, and what the agent did with it."""

from __future__ import annotations

import uuid
from typing import Any

from apps.conversations.models import Conversation, Draft
from apps.conversations.selectors import draft_info
from apps.conversations.services.judgements import DRAFT, FATE
from apps.conversations.services.messages import clean_text, message_post
from apps.conversations.types import DraftInfo, Posted
from apps.core.clock import now
from apps.core.errors import Conflict, Invalid, NotFound
from apps.core.tenancy import tenant_scope
from apps.events.services import event_record
from apps.judgements.services import judge
from apps.judgements.types import Author, AuthorKind, Verdict

MAX_RUNNING = 8


def draft_create(
    *, tenant_id: uuid.UUID, conversation_id: uuid.UUID, user_id: uuid.UUID | None, instruction: str = ""
) -> DraftInfo:
    """Write a draft row in state running and its `draft.requested` event. Raises NotFound, Conflict "drafts_running"."""
    if len(instruction) > 500:
        raise Invalid("An instruction has at most 500 characters.", code="instruction_too_long")
    with tenant_scope(tenant_id):
        if not Conversation.objects.select_for_update(of=("self",)).filter(id=conversation_id).exists():
            raise NotFound("There is no such conversation.")
        if Draft.objects.filter(conversation_id=conversation_id, status="running").count() >= MAX_RUNNING:
            raise Conflict("Too many drafts of this conversation are being written.", code="drafts_running")
        row = Draft.objects.create(conversation_id=conversation_id, requested_by_id=user_id, instruction=instruction)
        event_record(
            type="draft.requested",
            subject_type="draft",
            subject_id=row.id,
            data={"conversation_id": str(conversation_id)},
        )
        return draft_info(row)


def draft_finish(
    *,
    tenant_id: uuid.UUID,
    draft_id: uuid.UUID,
    status: str,
    text: str = "",
    marks: list[dict[str, Any]] | None = None,
    citations: list[dict[str, Any]] | None = None,
    error_code: str = "",
) -> None:
    """End a running draft as ready, cancelled or failed; a draft that ended already stays as it is."""
    with tenant_scope(tenant_id):
        Draft.objects.filter(id=draft_id, status="running").update(
            status=status, text=text, marks=marks or [], citations=citations or [], error_code=error_code
        )


def draft_decide(
    *, tenant_id: uuid.UUID, draft_id: uuid.UUID, decision: str, user_id: uuid.UUID, text: str = ""
) -> Posted | None:
    """Record accepted, edited or rejected; the first two send the message (edited: `text`) in the same transaction.

    Effects: the judgement `fate` of the draft by the member, and `draft.decided`.
    Errors: NotFound; Conflict "draft_decided" when it was decided, "draft_not_ready" while it is being written.
    """
    with tenant_scope(tenant_id):
        row = Draft.objects.select_for_update(of=("self",)).filter(id=draft_id).first()
        if row is None:
            raise NotFound("There is no such draft.")
        if row.status == Draft.Status.RUNNING and decision != Draft.Status.REJECTED:
            raise Conflict("The draft is still being written.", code="draft_not_ready")
        if row.status in {Draft.Status.ACCEPTED, Draft.Status.EDITED, Draft.Status.REJECTED}:
            raise Conflict("The draft was decided before.", code="draft_decided")
        posted = None
        if decision in {Draft.Status.ACCEPTED, Draft.Status.EDITED}:
            row.final_text = clean_text(row.text if decision == Draft.Status.ACCEPTED else text)
            posted = message_post(
                tenant_id=tenant_id,
                conversation_id=row.conversation_id,
                role="agent",
                text=row.final_text,
                author_id=user_id,
                citations=row.citations if decision == Draft.Status.ACCEPTED else (),
                actor=f"user:{user_id}",
            )
            row.message_id = posted.message.id
        row.status, row.decided_at, row.judged = decision, now(), True
        row.save(update_fields=["status", "decided_at", "final_text", "message_id", "judged"])
        verdict = Verdict(str(draft_id), decision, Author(AuthorKind.USER, str(user_id)))
        judge(tenant_id=tenant_id, target_kind=DRAFT, field=FATE, verdict=verdict, actor=f"user:{user_id}")
        event_record(
            type="draft.decided",
            subject_type="draft",
            subject_id=row.id,
            data={"conversation_id": str(row.conversation_id), "decision": decision},
            actor=f"user:{user_id}",
        )
        return posted
