"""The base of our socket consumers: JSON frames in, a bounded queue out, stable close codes (docs/protocol.md)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from typing import Any

import structlog
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import DataError, Error
from redis.exceptions import RedisError

from apps.core.errors import AppError, Invalid, Unavailable

log = structlog.get_logger(__name__)
# Stands in each `welcome`; rises when a client of before would misread what is sent.
PROTOCOL_VERSION = 1
MAX_FRAME_BYTES = 16 * 1024
MAX_QUEUED_BYTES = 256 * 1024
# Who has more to send than fits waits until the reader has taken all but this.
LOW_QUEUED_BYTES = 16 * 1024
# For so long: a reader that takes less than a page of 64 KiB meanwhile is as good as gone.
SLOW_READER_S = 30.0
MAX_FRAMES_PER_10S = 300
MAX_BAD_FRAMES = 20
HELLO_TIMEOUT_S = 10


class FrameConsumer(AsyncWebsocketConsumer):
    """Parses frames, calls `on_frame`, and sends through one pump so that a slow reader is cut before it costs memory.

    Subclasses implement `on_frame(frame)` and `on_close()`, and call `push(frame)`, which never waits.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._queue: deque[tuple[bytes, bool]] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._low = asyncio.Event()
        self._low.set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._bad_frames = 0
        self._window_started, self._window_frames = 0.0, 0
        self.closing = False
        self.greeted = False

    # -- for subclasses ----------------------------------------------------------------------------------------------
    async def on_frame(self, frame: dict[str, Any]) -> None:
        raise NotImplementedError

    async def on_close(self) -> None:
        """Release what the socket holds."""

    def push(self, frame: dict[str, Any], *, droppable: bool = False) -> None:
        """Queue a frame. Above 256 KiB droppable frames go first, then the socket is closed with 1013."""
        if self.closing:
            return
        # JSON lets a client name lone surrogates, which no encoder writes: what echoes them must not end the socket.
        body = json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        self._queue.append((body, droppable))
        self._queued_bytes += len(body)
        if self._queued_bytes > LOW_QUEUED_BYTES:
            self._low.clear()
        if self._queued_bytes > MAX_QUEUED_BYTES:
            kept = [item for item in self._queue if not item[1]]
            self._queue = deque(kept)
            self._queued_bytes = sum(len(item[0]) for item in kept)
            if self._queued_bytes > MAX_QUEUED_BYTES:
                self.spawn(self.cut(1013))
                return
        self._wake.set()

    async def drained(self) -> None:
        """Return when at most 16 KiB are queued; a reader who does not take them within 30 s is cut (1013).

        For whoever sends more than a socket may queue. Do not call it from the pump.
        """
        try:
            await asyncio.wait_for(self._low.wait(), SLOW_READER_S)
        except TimeoutError:
            self.spawn(self.cut(1013))

    def push_error(self, error: AppError, **extra: Any) -> None:
        """Queue an error frame with its stable code."""
        frame = {"type": "error", "code": error.code, "message": str(error.message), **extra}
        if error.retry_after_s:
            frame["retry_after_s"] = error.retry_after_s
        self.push(frame)

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        """Run a coroutine that ends with the socket."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._reap)
        return task

    def _reap(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("socket.task_failed", exc_info=task.exception())
            if not self.closing:
                self.spawn(self.cut(1011))

    async def cut(self, code: int) -> None:
        """Close with a code; a peer that does not read is aborted, since a polite close would wait for it."""
        if self.closing:
            return
        self.closing = True
        self._queue.clear()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self.close(code), 2)
        abort = self.scope.get("extensions", {}).get("nlpsuite.abort")
        if abort is not None and code == 1013:
            await asyncio.sleep(0.5)
            abort()

    async def leave(self, code: int) -> None:
        """Close with a code after the frames that were just queued."""
        await asyncio.sleep(0.05)
        await self.cut(code)

    # -- channels ----------------------------------------------------------------------------------------------------
    async def connect(self) -> None:
        await self.accept()
        self.spawn(self._pump())
        self.spawn(self._expect_hello())

    async def disconnect(self, code: int) -> None:
        self.closing = True
        current = asyncio.current_task()
        for task in list(self._tasks):
            if task is not current:
                task.cancel()
        try:
            await self.on_close()
        except (RedisError, OSError) as error:
            # Groups forget a channel by themselves when its process does.
            log.warning("socket.not_discarded", error=type(error).__name__)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.closing:
            return
        if not self._in_rate():
            await self.cut(4429)
            return
        if text_data is None:
            await self.cut(1003)
            return
        frame = await self._parse(text_data)
        if frame is None:
            return
        try:
            await self.on_frame(frame)
        except AppError as error:
            self.push_error(error, **self._echo(frame))
        except (DataError, UnicodeError):
            # NUL or a lone surrogate in some field, which would be refused again.
            self.push_error(Invalid("A text cannot be stored.", code="text_invalid"), **self._echo(frame))
        except (Error, RedisError, OSError) as error:
            # Nothing was acknowledged: the client sends the frame again.
            log.warning("socket.store_away", error=type(error).__name__)
            self.push_error(Unavailable(retry_after_s=1), **self._echo(frame))
            if not self.greeted:
                self.spawn(self.leave(1013))  # no welcome will come
        except Exception:
            # Ours to fix; the client is told by the close code instead of by a connection that breaks off.
            log.exception("socket.frame_failed", type=frame["type"][:40])
            await self.cut(1011)

    def _echo(self, frame: dict[str, Any]) -> dict[str, Any]:
        names = ("client_id", "draft_id", "conversation_id")
        return {name: frame[name] for name in names if isinstance(frame.get(name), str)}

    async def _parse(self, text: str) -> dict[str, Any] | None:
        if len(text.encode("utf-8", "surrogatepass")) > MAX_FRAME_BYTES:
            await self.cut(1009)
            return None
        try:
            frame = json.loads(text)
        except (ValueError, RecursionError):
            await self.cut(1007)
            return None
        if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
            await self.cut(1008)
            return None
        return frame

    async def bad_frame(self, frame: dict[str, Any]) -> None:
        """Answer a frame of unknown type; a client that sends many is closed."""
        self._bad_frames += 1
        if self._bad_frames > MAX_BAD_FRAMES:
            await self.cut(1008)
            return
        self.push_error(Invalid("There is no such frame type here.", code="type_unknown"), **self._echo(frame))

    def _in_rate(self) -> bool:
        at = time.monotonic()
        if at - self._window_started > 10:
            self._window_started, self._window_frames = at, 0
        self._window_frames += 1
        return self._window_frames <= MAX_FRAMES_PER_10S

    async def _pump(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                body, _ = self._queue.popleft()
                self._queued_bytes -= len(body)
                try:
                    await self.send(text_data=body.decode())
                except OSError:
                    return  # the peer is gone, and `disconnect` is on its way
                if self._queued_bytes <= LOW_QUEUED_BYTES:
                    self._low.set()
            self._low.set()

    async def _expect_hello(self) -> None:
        await asyncio.sleep(HELLO_TIMEOUT_S)
        if not self.greeted:
            await self.cut(4401)
