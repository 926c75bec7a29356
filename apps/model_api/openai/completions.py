"""Chat and plain completions: one request, one answer or one stream of events."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http.response import HttpResponseBase

from apps.inference.types import GenerateRequest, Piece
from apps.model_api.http import EventResponse, EventStream, finished, json_response, known_error
from apps.model_api.openai.errors import error_body
from apps.model_api.openai.generations import Generations
from apps.model_api.openai.shapes import DONE, PING, Choice, Shape
from apps.model_api.services import call_settle
from apps.model_api.types import Admission

Events = AsyncIterator[tuple[int, Piece] | None]


async def complete_whole(admission: Admission, requests: list[GenerateRequest], shape: Shape) -> HttpResponseBase:
    """Return the whole answer and settle the admission. A client that leaves stops the engine's work.

    Errors: those of `generate_async`.
    """
    generations = _start(admission, requests)
    try:
        choices = [Choice() for _ in range(generations.count)]
        async for event in generations:
            if event is not None:
                number, piece = event
                choices[number].texts.append(piece.text)
                choices[number].logprobs += piece.logprobs
        for choice, reason in zip(choices, generations.finish_reasons(), strict=True):
            choice.finish_reason = reason
        return json_response(shape.whole(choices, generations.prompt_tokens, generations.completion_tokens))
    finally:
        await finished(_settle(admission, generations))


async def complete_stream(admission: Admission, requests: list[GenerateRequest], shape: Shape) -> HttpResponseBase:
    """Return a stream of events, which settles the admission when it ends or its client leaves.

    Waits for the first piece, so that a refusal is a status and not an event; a queue that is silent for longer than
    10 s begins the stream with a comment.
    Errors: those of `generate_async`, before the first piece; later they are an event, after which nothing comes.
    """
    generations = _start(admission, requests)
    try:
        events = aiter(generations)
        first = await anext(events, _NOTHING)
    except BaseException:
        await finished(_settle(admission, generations))
        raise

    async def release() -> None:
        await _settle(admission, generations)

    return EventResponse(EventStream(_chunks(generations, first, events, shape), release))


_NOTHING = (0, Piece("", 0))


async def _chunks(
    generations: Generations, first: tuple[int, Piece] | None, events: Events, shape: Shape
) -> AsyncGenerator[bytes, None]:
    opening = b"".join(shape.start(number) for number in range(generations.count))
    offsets = [0] * generations.count

    def chunk(event: tuple[int, Piece] | None) -> bytes:
        if event is None:
            return PING
        number, piece = event
        if not piece.text and not piece.logprobs:
            return b""
        offset, offsets[number] = offsets[number], offsets[number] + len(piece.text)
        return shape.piece(number, piece, offset)

    try:
        yield opening + chunk(first)
        async for event in events:
            if body := chunk(event):
                yield body
        reasons = generations.finish_reasons()
    except Exception as error:  # noqa: BLE001  (the status is sent: every error is an event)
        _, refused = error_body(known_error(error, "stream"))
        yield f"data: {json.dumps(refused)}\n\n".encode()
        return
    closing = b"".join(shape.finish(number, reason) for number, reason in enumerate(reasons))
    if shape.include_usage:
        closing += shape.usage(generations.prompt_tokens, generations.completion_tokens)
    yield closing + DONE


def _start(admission: Admission, requests: list[GenerateRequest]) -> Generations:
    return Generations(requests, tenant_id=admission.tenant_id, deadline_s=float(settings.API_DEADLINE_S))


async def _settle(admission: Admission, generations: Generations) -> None:
    try:
        await generations.aclose()
    finally:
        tokens = generations.prompt_tokens + generations.completion_tokens
        await sync_to_async(call_settle)(admission, tokens=tokens)
