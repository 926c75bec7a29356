"""Streamed generation for an event loop: no thread waits while the model writes."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator

from apps.core.errors import DeadlineExceeded, Unavailable
from apps.core.threads import in_thread
from apps.inference.services.faults import RETRY_AFTER_S, app_error_from
from apps.inference.services.generation import pieces_from, request_clean, request_payload, stats_from
from apps.inference.services.hub import Follower, hub
from apps.inference.services.models import model_of
from apps.inference.services.rpc import RemoteCall
from apps.inference.types import GenerateRequest, GenerateStats, Piece, Priority

# How long a silent answer is waited for before looking whether Redis still has the request.
_LOOK_S = 1.0
_GRACE_S = 1.0


class AsyncGeneration:
    """`async for` gives pieces; `stats` is set after the end; `aclose` makes the engine stop, also in the middle.

    Use as an asynchronous context manager, or call `aclose` in any case: it frees the queue's place.
    """

    def __init__(self, call: RemoteCall, deadline_s: float) -> None:
        self.stats: GenerateStats | None = None
        self._call, self._deadline = call, time.monotonic() + deadline_s + _GRACE_S
        self._queue: asyncio.Queue[dict[bytes, bytes]] = asyncio.Queue()
        self._pieces: list[Piece] = []
        self._expected = 0
        self._follower: Follower | None = None
        self._closed = False

    def follow(self) -> None:
        """Begin to read the answer."""
        self._follower = hub().follow(self._call.tenant_id, self._call.id, self._queue.put_nowait)

    def __aiter__(self) -> AsyncIterator[Piece]:
        return self

    async def __anext__(self) -> Piece:
        while not self._pieces:
            if self.stats is not None:
                raise StopAsyncIteration
            fields = await self._next()
            kind, data = fields[b"k"], json.loads(fields[b"d"])
            if kind == b"delta":
                self._pieces = pieces_from(data)[::-1]
            else:
                self._call.answered = True
                if kind == b"error":
                    await self.aclose()
                    raise app_error_from(data["code"], data["message"], data.get("details"))
                self.stats = stats_from(data)
                await self.aclose()
        return self._pieces.pop()

    async def aclose(self) -> None:
        """Stop the generation where it has not ended, and forget it."""
        if self._closed:
            return
        self._closed = True
        if self._follower is not None:
            self._follower.close()
        # Shielded: the task that is being cancelled is the one that must tell the engine.
        await asyncio.shield(asyncio.ensure_future(in_thread(self._call.leave)()))

    async def __aenter__(self) -> AsyncGeneration:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _next(self) -> dict[bytes, bytes]:
        while True:
            try:
                fields = await asyncio.wait_for(self._queue.get(), _LOOK_S)
            except TimeoutError:
                await self._look()
                continue
            if int(fields[b"n"]) != self._expected:
                await self.aclose()
                raise Unavailable("A part of the answer was lost; send the request again.", retry_after_s=1.0)
            self._expected += 1
            return fields

    async def _look(self) -> None:
        if time.monotonic() > self._deadline:
            await self.aclose()
            raise DeadlineExceeded(retry_after_s=RETRY_AFTER_S)
        try:
            await in_thread(self._call.check_not_lost)()
        except Unavailable:
            await self.aclose()
            raise


async def generate_async(
    request: GenerateRequest, *, tenant_id: uuid.UUID, deadline_s: float = 60.0, priority: Priority = "api"
) -> AsyncGeneration:
    """Queue a generation and return the stream of its pieces. Not for the inference worker itself.

    Errors: NotFound, Invalid (model, prompt, parameter), Busy (the class's queue is full), Unavailable; while iterating
            also DeadlineExceeded.
    Limits: the queue is bounded by class (INFERENCE_QUEUE_BOUNDS); a flush of Redis ends the stream with Unavailable.
    """
    model_of("chat", request.model)
    call = RemoteCall(tenant_id, request_payload(request_clean(request)), deadline_s=deadline_s, priority=priority)
    entering = asyncio.ensure_future(in_thread(call.enter)())
    try:
        await asyncio.shield(entering)
    except asyncio.CancelledError:
        # The thread goes on and enters; nobody else would give its place back.
        entering.add_done_callback(lambda done: _leave_soon(call, done))
        raise
    generation = AsyncGeneration(call, deadline_s)
    generation.follow()
    return generation


def _leave_soon(call: RemoteCall, entered: asyncio.Future[None]) -> None:
    if entered.cancelled() or entered.exception() is not None:
        return
    task = asyncio.ensure_future(in_thread(call.leave)())
    _leaving.add(task)
    task.add_done_callback(_leaving.discard)


# The event loop holds its tasks weakly.
_leaving: set[asyncio.Future[None]] = set()
