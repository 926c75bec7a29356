"""Drafts for agents: every word as the model says it, with a verdict on each sentence as it completes."""

from __future__ import annotations

import time
import uuid
from typing import Any

from django.db import transaction

from apps.assistant.condense import condense_query
from apps.assistant.decision import evidence
from apps.assistant.finding import find
from apps.assistant.services.answering import PROMPTED, checked, citation_of, heading_path
from apps.assistant.services.prompt import DRAFT_SYSTEM, STOP, answer_prompt, copy_prompt
from apps.assistant.services.searching import search_by
from apps.conversations.selectors import conversation_get, draft_get, inbox_get, messages_before
from apps.conversations.services import draft_finish
from apps.conversations.types import DraftInfo
from apps.core.errors import AppError, Cancelled
from apps.core.tenancy import connection_release, tenant_scope
from apps.inference.services import (
    EndStatus,
    StreamWriter,
    cancel_request,
    default_model,
    embed_texts,
    generate_stream,
    generation_permit,
    stop_signal,
)
from apps.inference.types import ChatMessage, GenerateRequest
from apps.jobs.services import JobContext, job_enqueue
from apps.knowledge.types import Passage
from apps.nlp.services.grounding.check import GroundingContext, PassageText, SentenceCheck
from apps.nlp.services.grounding.exact import Exact
from apps.nlp.services.grounding.text import Sentence, SentenceBuffer

KIND = "assistant.draft_generate"
MAX_DRAFT_TOKENS = 160
DRAFT_DEADLINE_S = 40.0
HISTORY = 8


def draft_start(*, tenant_id: uuid.UUID, draft_id: uuid.UUID) -> uuid.UUID:
    """Enqueue the writing of a draft; a second call for the same draft changes nothing."""
    return job_enqueue(
        tenant_id=tenant_id,
        kind=KIND,
        payload={"draft_id": str(draft_id)},
        queue="inference",
        unique_key=str(draft_id),
    )


def draft_cancel(*, tenant_id: uuid.UUID, draft_id: uuid.UUID) -> None:
    """Stop writing; what was written so far stays with the draft, as cancelled. Raises NotFound."""
    draft = draft_get(tenant_id=tenant_id, draft_id=draft_id)
    if draft.status == "running":
        cancel_request(tenant_id, str(draft_id))


def draft_generate(ctx: JobContext) -> None:
    """Write one draft: words to its stream as they come, verdicts as marks, the row once at the end."""
    draft = draft_get(tenant_id=ctx.tenant_id, draft_id=uuid.UUID(ctx.payload["draft_id"]))
    if draft.status != "running":
        return
    writer = StreamWriter(ctx.tenant_id, str(draft.id))
    # An attempt that died has left half a draft, which this one does not go on with: it writes its own.
    writer.restart()
    run = _DraftRun(ctx, draft, writer)
    status, code = "ready", ""
    try:
        with generation_permit(tenant_id=ctx.tenant_id, key=str(draft.id), deadline_s=DRAFT_DEADLINE_S):
            run.write()
    except Cancelled:
        status, code = "cancelled", "cancelled"
    except AppError as error:
        status, code = "failed", error.code
    with ctx.finishing():
        draft_finish(
            tenant_id=ctx.tenant_id,
            draft_id=draft.id,
            status=status,
            text=run.text.strip(),
            marks=run.marks,
            citations=run.citations,
            error_code=code,
        )
    endings: dict[str, EndStatus] = {"ready": "done", "cancelled": "cancelled", "failed": "failed"}
    writer.end(endings[status], code=code, data={"first_token_at": run.first_token_at})


def draft_job_ended(ctx: JobContext, status: str, code: str) -> None:
    """End hook: a draft whose job was cancelled or died is marked, and its stream ends, which is what the agent sees."""
    ending: EndStatus = "cancelled" if status == "cancelled" else "failed"
    draft_id = ctx.payload["draft_id"]
    draft_finish(tenant_id=ctx.tenant_id, draft_id=uuid.UUID(draft_id), status=ending, error_code=code)
    transaction.on_commit(lambda: StreamWriter(ctx.tenant_id, draft_id).end(ending, code=code))


class _DraftRun:
    """The text, marks and citations of a draft as they grow."""

    def __init__(self, ctx: JobContext, draft: DraftInfo, writer: StreamWriter) -> None:
        self.ctx, self.draft, self.writer = ctx, draft, writer
        self.text = ""
        self.first_token_at = 0.0
        self.looping = False
        self._said: set[str] = set()
        self._exact: tuple[Exact, ...] = ()
        self.marks: list[dict[str, Any]] = []
        self.citations: list[dict[str, Any]] = []

    def write(self) -> None:
        tenant_id = self.ctx.tenant_id
        question, history, collections = self._question()
        passages = self._passages(question, history, collections)
        context = GroundingContext([PassageText(p.text, heading_path(p)) for p in passages], self._embed)
        request = GenerateRequest(
            messages=self._messages(question, history, passages),
            max_tokens=MAX_DRAFT_TOKENS,
            stop=STOP,
        )
        buffer, previous = SentenceBuffer(), None
        connection_release()
        with stop_signal(tenant_id, str(self.draft.id)) as stopped:
            stream = generate_stream(
                request,
                tenant_id=tenant_id,
                deadline_s=DRAFT_DEADLINE_S,
                should_stop=lambda: stopped() or self.ctx.lost.is_set(),
            )
            for piece in stream:
                self.first_token_at = self.first_token_at or time.time()
                self.text += piece.text
                self.writer.append(piece.text)
                for sentence in buffer.feed(piece.text):
                    previous = self._judge(context, passages, sentence, previous)
                if self.looping:
                    stream.close()  # a small model that says a sentence twice says it for ever
                    break
            if stopped():
                raise Cancelled
        for sentence in buffer.flush():
            previous = self._judge(context, passages, sentence, previous)

    def _question(self) -> tuple[str, tuple[tuple[str, str], ...], tuple[str, ...]]:
        tenant_id = self.ctx.tenant_id
        with tenant_scope(tenant_id):
            conversation = conversation_get(tenant_id=tenant_id, conversation_id=self.draft.conversation_id)
            inbox = inbox_get(tenant_id=tenant_id, inbox_id=conversation.inbox_id)
            said = messages_before(
                tenant_id=tenant_id,
                conversation_id=conversation.id,
                before_seq=conversation.last_seq + 1,
                limit=HISTORY,
            )
        asked = [m for m in said if m.role == "contact"]
        question = asked[-1].text if asked else self.draft.instruction
        history = tuple((m.role, m.text) for m in said if not asked or m.seq < asked[-1].seq)
        return question, history, inbox.collections

    def _messages(
        self, question: str, history: tuple[tuple[str, str], ...], passages: tuple[Passage, ...]
    ) -> tuple[ChatMessage, ...]:
        if default_model("chat").prompt_style == "copy":
            return copy_prompt(question, passages, extra=self.draft.instruction)
        return answer_prompt(question, passages, history, system=DRAFT_SYSTEM, extra=self.draft.instruction)

    def _passages(
        self, question: str, history: tuple[tuple[str, str], ...], collections: tuple[str, ...]
    ) -> tuple[Passage, ...]:
        queries = condense_query([text for role, text in history if role == "contact"], question).queries
        if not queries:
            return ()
        search = search_by(tenant_id=self.ctx.tenant_id, collections=collections, embed=self._embed)
        found = find(queries, search, evidence)
        self._exact = found.exact
        return found.passages[:PROMPTED]

    def _embed(self, texts: Any) -> Any:
        return embed_texts(list(texts), tenant_id=self.ctx.tenant_id).vectors

    def _judge(
        self,
        context: GroundingContext,
        passages: tuple[Passage, ...],
        sentence: Sentence,
        previous: SentenceCheck | None,
    ) -> SentenceCheck:
        words = sentence.text.strip().casefold()
        self.looping = words in self._said
        self._said.add(words)
        check = checked(context, sentence.text, previous, passages, self._exact)
        mark = {
            "start": sentence.start,
            "end": sentence.end,
            "supported": bool(check.supported or check.filler),
            "passage": check.passage,
            "reason": check.reason,
        }
        self.marks.append(mark)
        self.writer.mark(mark)
        if check.supported and check.passage is not None:
            citation = citation_of(passages[check.passage])
            if citation not in self.citations:
                self.citations.append(citation)
        return check
