"""One or more generations as one stream of pieces."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import suppress

from apps.core.errors import Unavailable
from apps.inference.services import AsyncGeneration, generate_async
from apps.inference.types import GenerateRequest, GenerateStats, Piece
from apps.model_api.http import kept

# A silence of this length is filled with a comment, so that no proxy takes the connection for dead.
PING_S = 10.0


class Generations:
    """Iterate for (choice, piece), or None after `PING_S` without one. Choices are numbered over all prompts.

    `stats` has an entry per prompt that ended. `aclose` stops what still runs in the engine.
    Errors: those of `generate_async`, of whichever generation fails first.
    """

    def __init__(self, requests: Sequence[GenerateRequest], *, tenant_id: uuid.UUID, deadline_s: float) -> None:
        self._requests, self._tenant_id, self._deadline_s = requests, tenant_id, deadline_s
        self._choices = requests[0].n
        self._running: list[AsyncGeneration] = []
        self._waiting: dict[asyncio.Task[Piece], int] = {}
        self._events = self._merged()
        self._streamed = 0
        self.stats: dict[int, GenerateStats] = {}

    def __aiter__(self) -> AsyncIterator[tuple[int, Piece] | None]:
        return self._events

    @property
    def count(self) -> int:
        """How many choices there are."""
        return self._choices * len(self._requests)

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompts that ended."""
        return sum(stats.prompt_tokens for stats in self.stats.values())

    @property
    def completion_tokens(self) -> int:
        """Tokens generated so far; exact when all have ended."""
        ended = sum(stats.completion_tokens for stats in self.stats.values())
        return ended if len(self.stats) == len(self._requests) else max(ended, self._streamed)

    def finish_reasons(self) -> list[str]:
        """Return the reason of each choice. Raises Unavailable when the engine gave up what nobody had cancelled."""
        reasons: list[str] = []
        for number in range(len(self._requests)):
            stats = self.stats[number]
            reasons += stats.finish_reasons or [stats.finish_reason] * self._choices
        if "cancelled" in reasons:
            raise Unavailable("The generation was interrupted; send the request again.", retry_after_s=1)
        return reasons

    async def aclose(self) -> None:
        """Stop everything; harmless at the end."""
        await self._events.aclose()
        for task in self._waiting:
            task.cancel()
        for task in self._waiting:
            with suppress(Exception, asyncio.CancelledError):
                await task
        self._waiting.clear()
        for number, generation in enumerate(self._running):
            await generation.aclose()
            if generation.stats is not None:
                self.stats.setdefault(number, generation.stats)

    async def _merged(self) -> AsyncGenerator[tuple[int, Piece] | None, None]:
        for number, request in enumerate(self._requests):
            starting = generate_async(request, tenant_id=self._tenant_id, deadline_s=self._deadline_s, priority="api")
            self._running.append(await kept(starting, AsyncGeneration.aclose))
            self._wait_for(number)
        while self._waiting:
            done, _ = await asyncio.wait(self._waiting, timeout=PING_S, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                yield None
            for task in done:
                number = self._waiting.pop(task)
                try:
                    piece = task.result()
                except StopAsyncIteration:
                    stats = self._running[number].stats
                    if stats is None:
                        raise Unavailable("The generation ended early.", retry_after_s=1) from None
                    self.stats[number] = stats
                    continue
                self._streamed += piece.tokens
                self._wait_for(number)
                yield number * self._choices + piece.index, piece

    def _wait_for(self, number: int) -> None:
        self._waiting[asyncio.ensure_future(anext(self._running[number]))] = number
