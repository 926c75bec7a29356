"""Reply streams: text on its way from a worker to whoever watches it, resumable from any entry.

Redis stream `t:{tenant}:reply:{id}`. Entries have a kind (`delta`, `mark`, `restart`, `end`), the offset in Unicode code
points before them, and text or JSON. A `restart` makes all before it void. The stream is not a record: what must last is
written to the database at the end.
"""

from __future__ import annotations

import heapq
import json
import logging
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from redis.exceptions import RedisError

from apps.core.redis import redis_client, tenant_key
from apps.inference.services.faults import redis_unavailable

logger = logging.getLogger(__name__)

EntryKind = Literal["delta", "mark", "restart", "end"]
EndStatus = Literal["done", "cancelled", "failed"]

COALESCE_S = 0.04
MAX_ENTRIES = 2000
# A stream whose writer was killed goes by itself; a finished one stays long enough for a slow reconnect.
OPEN_TTL_S = 3600
ENDED_TTL_S = 600
_END_TRIES = 5


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """One entry as read. `offset`: code points of text before it. `data`: the mark; of an end status, code and data."""

    id: str
    kind: EntryKind
    offset: int
    text: str = ""
    data: dict[str, Any] = field(default_factory=dict)


def stream_key(tenant_id: uuid.UUID, stream_id: str) -> str:
    """Return the Redis key of a reply stream."""
    return tenant_key(tenant_id, "reply", stream_id)


def entry_parse(entry_id: bytes | str, fields: Mapping[bytes, bytes]) -> StreamEntry:
    """Return the entry that Redis gave as id and fields."""
    name = entry_id.decode() if isinstance(entry_id, bytes) else entry_id
    kind: EntryKind = fields[b"k"].decode()  # type: ignore[assignment]
    data = json.loads(fields[b"d"]) if b"d" in fields else {}
    return StreamEntry(name, kind, int(fields[b"o"]), fields.get(b"t", b"").decode(), data)


def stream_read_sync(tenant_id: uuid.UUID, stream_id: str, after: str = "0") -> list[StreamEntry]:
    """Return the entries after the id `after` ("0": all that are kept), without waiting. Raises Unavailable."""
    with redis_unavailable():
        rows: Any = redis_client().xrange(stream_key(tenant_id, stream_id), min=f"({after}", max="+")
    return [entry_parse(entry_id, fields) for entry_id, fields in rows]


class StreamWriter:
    """Writes one reply stream. Thread-safe. The first piece goes out at once, later ones at most every 40 ms.

    Redis going away never raises here: text waits in memory and is written when Redis is back, and after a flush the
    whole text is written again at offset 0, so that a reader that starts later has no hole.
    """

    def __init__(self, tenant_id: uuid.UUID, stream_id: str) -> None:
        self._tenant_id, self._stream_id = tenant_id, stream_id
        self._key = stream_key(tenant_id, stream_id)
        self._lock = threading.Lock()
        self._text = ""
        self._written = 0
        self._entries = 0
        self._last_flush = 0.0
        self._started = False
        self._scheduled = False
        self._ended = False

    def append(self, text: str) -> None:
        """Add text. Empty text and text after the end are ignored."""
        if not text:
            return
        with self._lock:
            if self._ended:
                return
            self._start()
            self._text += text
            wait_s = self._last_flush + COALESCE_S - time.monotonic()
            if wait_s <= 0:
                self._flush()
            elif not self._scheduled:
                self._scheduled = True
                _flusher.schedule(time.monotonic() + wait_s, self)

    def mark(self, data: dict[str, Any]) -> None:
        """Add a mark (e.g. a verdict on the text before it), after all text so far."""
        with self._lock:
            if not self._ended:
                self._start()
                self._flush()
                self._add({"k": "mark", "o": self._written, "d": json.dumps(data)})

    def restart(self) -> None:
        """Begin afresh where an earlier attempt has written something: its text and marks are void from here on.

        For text that cannot be gone on with. Without Redis nothing was read that could be in the way.
        """
        with self._lock:
            if self._ended:
                return
            self._start()
            if not self._entries:
                return
            self._text, self._written = "", 0
            self._add({"k": "restart", "o": 0})

    def end(self, status: EndStatus = "done", code: str = "", data: dict[str, Any] | None = None) -> None:
        """Write what is left and the end entry; the stream then lives for 10 minutes. A second call is ignored."""
        entry = {"status": status, "code": code, "data": data or {}}
        with self._lock:
            if self._ended:
                return
            self._start()
            for attempt in range(_END_TRIES):
                if self._flush() and self._add({"k": "end", "o": self._written, "d": json.dumps(entry)}, ENDED_TTL_S):
                    break
                time.sleep(0.1 * 2**attempt)
            else:
                logger.warning("the end of stream %s could not be written", self._stream_id)
            self._ended = True

    def flush(self) -> None:
        """Write what is buffered; called by the flusher when the 40 ms are over."""
        with self._lock:
            self._scheduled = False
            if not self._ended and not self._flush():
                self._scheduled = True
                _flusher.schedule(time.monotonic() + 0.25, self)

    def _start(self) -> None:
        """Continue behind the text of an earlier attempt at the same reply."""
        if self._started:
            return
        try:
            rows: Any = redis_client().xrange(self._key)
        except RedisError:
            return
        entries = [entry_parse(entry_id, fields) for entry_id, fields in rows]
        self._text = text_of(entries) + self._text
        self._written, self._entries, self._started = len(text_of(entries)), len(entries), True

    def _flush(self) -> bool:
        if len(self._text) == self._written:
            return True
        if not self._add({"k": "delta", "o": self._written, "t": self._text[self._written :]}):
            return False
        self._written = len(self._text)
        self._last_flush = time.monotonic()
        return True

    def _add(self, fields: dict[Any, Any], ttl_s: int = 0) -> bool:
        """Append one entry; False without Redis. When the stream is gone (a flush), the text before it is restored."""
        client = redis_client()
        try:
            added = self._entries and client.xadd(
                self._key, fields, maxlen=MAX_ENTRIES, approximate=True, nomkstream=True
            )
            if not added:
                if fields["o"]:
                    client.xadd(self._key, {"k": "delta", "o": 0, "t": self._text[: int(fields["o"])]})
                client.xadd(self._key, fields)
                ttl_s = ttl_s or OPEN_TTL_S
            if ttl_s:
                client.expire(self._key, ttl_s)
        except RedisError:
            return False
        self._entries += 1
        return True


class _Flusher:
    """One thread per process that flushes writers when their 40 ms are over."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._due: list[tuple[float, int, StreamWriter]] = []
        self._count = 0
        self._thread: threading.Thread | None = None

    def schedule(self, when: float, writer: StreamWriter) -> None:
        with self._condition:
            self._count += 1
            heapq.heappush(self._due, (when, self._count, writer))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="stream-flusher", daemon=True)
                self._thread.start()
            self._condition.notify()

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._due:
                    self._condition.wait()
                wait_s = self._due[0][0] - time.monotonic()
                if wait_s > 0:
                    self._condition.wait(wait_s)
                    continue
                writer = heapq.heappop(self._due)[2]
            writer.flush()


_flusher = _Flusher()


def text_of(entries: list[StreamEntry]) -> str:
    """Return the text of a stream's deltas, each at its offset: after a flush the same text may come twice."""
    text = ""
    for entry in entries:
        if entry.kind == "restart":
            text = ""
        elif entry.kind == "delta" and entry.offset <= len(text):
            text += entry.text[len(text) - entry.offset :]
    return text
