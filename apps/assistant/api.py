"""Assistant routes of /api/v1."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Literal

import structlog
from channels.db import database_sync_to_async
from django.http import HttpRequest, StreamingHttpResponse
from ninja import Router, Schema
from pydantic import Field

from apps.accounts.access import principal_of
from apps.assistant.selectors import reply_why
from apps.assistant.services import AnswerRun
from apps.assistant.types import Question
from apps.conversations.services import clean_text
from apps.core.errors import AppError, Cancelled, NotFound
from apps.core.ids import parse_id
from apps.inference.services import generation_permit

router = Router(tags=["assistant"])
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,59}$")]
PING_S = 10.0
# More than the installation generates at once: above that a run ends as busy, here it would only wait.
_threads = ThreadPoolExecutor(64, thread_name_prefix="answer")
log = structlog.get_logger(__name__)


class Turn(Schema):
    role: Literal["contact", "bot", "agent"]
    text: str = Field(max_length=10_000)


class AnswerIn(Schema):
    question: str
    history: list[Turn] = Field(default=[], max_length=20)
    collection: Slug | None = None
    stream: bool = False


@router.post("/answer", response=dict)
def answer(request: HttpRequest, body: AnswerIn) -> Any:
    """Answer a question from the organisation's documents, abstain, or say that a person should answer.

    With `stream`, server-sent events: `delta` (text that passed the check), then `end` with the whole result, or `error`.
    """
    principal = principal_of(request)
    principal.require("assistant:answer")
    question = Question(
        tenant_id=principal.tenant_id,
        text=clean_text(body.question)[:4000],
        history=tuple((turn.role, turn.text) for turn in body.history),
        collections=(body.collection,) if body.collection else (),
    )
    if body.stream:
        return _stream(question)
    with generation_permit(tenant_id=principal.tenant_id, key=str(uuid.uuid4()), deadline_s=40):
        run = AnswerRun(question, release=lambda _: None, note=lambda _: None, should_stop=lambda: False)
        return run.run().as_dict()


@router.get("/replies/{message_id}")
def why(request: HttpRequest, message_id: str) -> dict[str, Any]:
    """Why the bot said a message: decision, passages with scores, check of each sentence, model, times."""
    principal = principal_of(request)
    principal.require("conversations:read")
    parsed = parse_id(message_id)
    if parsed is None:
        raise NotFound("The bot did not write this message.")
    return reply_why(tenant_id=principal.tenant_id, message_id=parsed)


def _stream(question: Question) -> StreamingHttpResponse:
    """Run in a thread, deliver by an asynchronous generator; a client that leaves ends the run."""
    left = threading.Event()

    async def events() -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue(maxsize=1000)

        def put(kind: str, data: Any) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, (kind, data))

        def work() -> None:
            try:
                with generation_permit(tenant_id=question.tenant_id, key=str(uuid.uuid4()), deadline_s=40):
                    run = AnswerRun(
                        question,
                        release=lambda text: put("delta", {"text": text}),
                        note=lambda _: None,
                        should_stop=left.is_set,
                    )
                    put("end", run.run().as_dict())
            except Cancelled:
                put("end", {})
            except AppError as error:
                put("error", {"code": error.code, "message": str(error.message)})
            except Exception:
                log.exception("answer.failed")
                put("error", {"code": AppError.code, "message": AppError.default_message})

        task = asyncio.ensure_future(database_sync_to_async(work, thread_sensitive=False, executor=_threads)())
        try:
            while True:
                try:
                    kind, data = await asyncio.wait_for(queue.get(), PING_S)
                except TimeoutError:
                    if task.done() and queue.empty():
                        error = {"code": "internal", "message": "The answer ended early."}
                        yield f"event: error\ndata: {json.dumps(error)}\n\n".encode()
                        return
                    yield b": ping\n\n"
                    continue
                yield f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
                if kind != "delta":
                    return
        finally:
            left.set()

    response = StreamingHttpResponse(events(), content_type="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response
