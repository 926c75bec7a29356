"""Readers of reply streams in a process with an event loop: one XREAD for all subscriptions."""

from __future__ import annotations

import asyncio
import inspect
import logging
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from redis.exceptions import RedisError

from apps.core.redis import redis_client_async
from apps.inference.services.streams import StreamEntry, entry_parse, stream_key

logger = logging.getLogger(__name__)

F = TypeVar("F", bound="Follower")
Callback = Callable[[StreamEntry], Awaitable[None] | None]

# redis-py ends a read after 5 s of silence; blocking for less keeps that from being an error.
BLOCK_MS = 2000
READ_COUNT = 500
_RETRY_MIN_S, _RETRY_MAX_S = 0.1, 2.0


def _order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


class Follower:
    """One reader of the raw entries of one stream, in order, each once. `callback` must not block."""

    def __init__(self, owner: StreamHub, key: str, after: str, callback: Callable[[dict[bytes, bytes]], None]) -> None:
        self._owner, self.key, self._raw = owner, key, callback
        self.last = after
        self.closed = False

    def close(self) -> None:
        """Stop following; no callback starts after this."""
        self.closed = True
        self._owner.discard(self)

    def deliver(self, entry_id: bytes, fields: dict[bytes, bytes]) -> None:
        """Give an entry to the callback, unless it was given before."""
        name = entry_id.decode()
        if not self.closed and _order(name) > _order(self.last):
            self.last = name
            self._take(name, fields)

    def _take(self, entry_id: str, fields: dict[bytes, bytes]) -> None:
        self._raw(fields)


class Subscription(Follower):
    """One follower of one reply. Text never overlaps what came before."""

    def __init__(self, owner: StreamHub, key: str, after: str, callback: Callback) -> None:
        super().__init__(owner, key, after, lambda _: None)
        self._callback = callback
        self._offset: int | None = 0 if after == "0" else None
        self._queue: deque[StreamEntry] = deque()
        self._pump: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Stop following; no callback starts after this."""
        self._queue.clear()
        super().close()

    def _take(self, entry_id: str, fields: dict[bytes, bytes]) -> None:
        fresh = self._fresh(entry_parse(entry_id, fields))
        if fresh is None:
            return
        if self._queue or (self._pump is not None and not self._pump.done()):
            self._queue.append(fresh)
            return
        waiting = self._call(fresh)
        if waiting is not None:
            self._pump = asyncio.ensure_future(self._drain(waiting))

    def _fresh(self, entry: StreamEntry) -> StreamEntry | None:
        """Cut text that was delivered already: after a flush a writer starts again at offset 0."""
        if entry.kind == "restart":
            self._offset = 0
        if entry.kind != "delta":
            return entry
        if self._offset is not None and entry.offset < self._offset:
            text = entry.text[self._offset - entry.offset :]
            entry = replace(entry, offset=self._offset, text=text)
        if not entry.text:
            return None
        self._offset = entry.offset + len(entry.text)
        return entry

    def _call(self, entry: StreamEntry) -> Awaitable[None] | None:
        try:
            result = self._callback(entry)
        except Exception:
            logger.exception("a stream callback failed")
            return None
        return result if inspect.isawaitable(result) else None

    async def _drain(self, first: Awaitable[None]) -> None:
        waiting: Awaitable[None] | None = first
        while True:
            if waiting is not None:
                try:
                    await waiting
                except Exception:
                    logger.exception("a stream callback failed")
            if self.closed or not self._queue:
                return
            waiting = self._call(self._queue.popleft())


class StreamHub:
    """Follows any number of reply streams of one event loop with one blocked connection.

    Survives restarts and flushes of Redis: entry ids are times, so the last id seen stays a valid place to go on from.
    """

    def __init__(self) -> None:
        self._followers: dict[str, list[Follower]] = {}
        self._last: dict[str, str] = {}
        self._joining: set[asyncio.Task[None]] = set()
        self._reader: asyncio.Task[None] | None = None
        # An entry in this stream of our own wakes the blocked read when the set of streams has changed.
        self._wake_key = f"hub:{uuid.uuid4()}"
        self._wake_last = "0"

    def subscribe(self, tenant_id: uuid.UUID, stream_id: str, *, after: str = "0", callback: Callback) -> Subscription:
        """Call `callback` with each entry after the id `after`, from now until the end entry or `close`.

        The stream need not exist yet. `callback` runs in this event loop; a coroutine function is awaited, one entry
        at a time, without holding up other subscriptions.
        """
        return self._added(Subscription(self, stream_key(tenant_id, stream_id), after, callback))

    def follow(self, tenant_id: uuid.UUID, stream_id: str, callback: Callable[[dict[bytes, bytes]], None]) -> Follower:
        """Call `callback` with the fields of each entry of a stream that holds other things than a reply's text."""
        return self._added(Follower(self, stream_key(tenant_id, stream_id), "0", callback))

    def _added(self, follower: F) -> F:
        task = asyncio.ensure_future(self._join(follower))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)
        return follower

    def discard(self, subscription: Follower) -> None:
        """Forget a closed subscription."""
        followers = self._followers.get(subscription.key, [])
        if subscription in followers:
            followers.remove(subscription)
        if not followers:
            self._followers.pop(subscription.key, None)
            self._last.pop(subscription.key, None)

    async def close(self) -> None:
        """Stop reading and drop all subscriptions."""
        for followers in list(self._followers.values()):
            for subscription in list(followers):
                subscription.close()
        for task in [*self._joining, *([self._reader] if self._reader else [])]:
            task.cancel()
        self._reader = None

    async def _join(self, subscription: Follower) -> None:
        """Read what is there already, then let the common reader go on from the same entry."""
        pause_s = _RETRY_MIN_S
        while not subscription.closed:
            try:
                rows: Any = await redis_client_async().xrange(subscription.key, min=f"({subscription.last}", max="+")
            except (RedisError, OSError):
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _RETRY_MAX_S)
                continue
            self._deliver([subscription], rows)
            seen = self._last.get(subscription.key, "0")
            if not subscription.closed and _order(subscription.last) >= _order(seen):
                break
        if subscription.closed:
            return
        # No await since the comparison: nothing can fall between the two readers.
        self._last.setdefault(subscription.key, subscription.last)
        self._followers.setdefault(subscription.key, []).append(subscription)
        if self._reader is None or self._reader.done():
            self._reader = asyncio.ensure_future(self._read_loop())
        else:
            await self._wake()

    async def _wake(self) -> None:
        try:
            await redis_client_async().xadd(self._wake_key, {"w": "1"}, maxlen=1, approximate=False)
            await redis_client_async().expire(self._wake_key, 60)
        except (RedisError, OSError):
            logger.debug("could not wake the reader; it comes round within 2 s")

    async def _read_loop(self) -> None:
        pause_s = _RETRY_MIN_S
        while self._followers:
            wanted: dict[Any, Any] = {**self._last, self._wake_key: self._wake_last}
            try:
                found: Any = await redis_client_async().xread(wanted, count=READ_COUNT, block=BLOCK_MS)
            except (RedisError, OSError):
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _RETRY_MAX_S)
                continue
            pause_s = _RETRY_MIN_S
            # RESP3 gives a mapping to lists of lists, RESP2 a list of pairs.
            pairs = [(k, v[0]) for k, v in found.items()] if isinstance(found, dict) else list(found or [])
            for raw_key, rows in pairs:
                self._take(raw_key.decode() if isinstance(raw_key, bytes) else raw_key, rows)

    def _take(self, key: str, rows: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
        if not rows:
            return
        last = rows[-1][0].decode()
        if key == self._wake_key:
            self._wake_last = last
            return
        if key in self._last:
            self._last[key] = last
        self._deliver(list(self._followers.get(key, [])), rows)

    def _deliver(self, followers: Sequence[Follower], rows: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
        for entry_id, fields in rows:
            for follower in followers:
                follower.deliver(entry_id, fields)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, StreamHub] = WeakKeyDictionary()


def hub() -> StreamHub:
    """Return the hub of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _hubs.get(loop)
    if found is None:
        found = _hubs[loop] = StreamHub()
    return found
