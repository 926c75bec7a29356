"""What a socket shows of one conversation: messages in order from the database, replies from their stream.

The database is the truth. Hints only say "look now"; without them the owner's poll finds the same rows. A reply that was
announced with `reply.start` ends with `reply.end`, which carries the stored message; text the stream did not bring is
sent as one last piece first, so pieces joined always equal the stored text.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from django.db import Error

from apps.conversations.selectors import messages_after
from apps.conversations.types import MessageInfo
from apps.core.threads import in_thread
from apps.inference.services import StreamEntry, hub

Push = Callable[..., None]
RESUME_GRACE_S = 0.3
PAGE_MESSAGES = 100
# A socket is cut when 256 KiB wait to be sent (core/sockets.py). The longest message is about 90 KiB as JSON with its files,
# 195 KiB with all that staff are told of it: one page, or one message that is longer than a page, always fits.
PAGE_BYTES = 64 * 1024


@dataclass(slots=True)
class _Reply:
    """A reply that this viewer was told of. `sent` counts code points."""

    sent: int = 0
    handle: Any = None
    ended: bool = False


class ConversationFeed:
    """One viewer's view of one conversation."""

    def __init__(
        self,
        *,
        tenant_id: uuid.UUID,
        conversation_id: uuid.UUID,
        staff: bool,
        seq: int,
        push: Push,
        drained: Callable[[], Awaitable[None]],
    ) -> None:
        """`push(frame, droppable=)` never waits; `drained()` returns when little of what was pushed is still unsent."""
        self.tenant_id, self.conversation_id, self.staff = tenant_id, conversation_id, staff
        self.seq = seq
        self.lock = asyncio.Lock()
        self.own: set[uuid.UUID] = set()
        self._push, self._drained = push, drained
        self._replies: dict[uuid.UUID, _Reply] = {}
        self._pending: set[asyncio.Task[Any]] = set()
        self._closed = False
        # How often something was said to this viewer: pieces of replies, their ends, messages of others.
        self.words = 0

    # -- messages ----------------------------------------------------------------------------------------------------
    async def catch_up(self) -> None:
        """Send every message after `seq`, in order: a page, and the next one when the reader has taken it."""
        async with self.lock:
            more = True
            while more and not self._closed:
                found, more = await self._next()
                if self._closed:
                    return  # the socket shows another conversation by now
                for message in found:
                    self._show(message)
                if more:
                    await self._drained()

    async def page(self) -> tuple[list[MessageInfo], bool]:
        """Take the messages after `seq` without sending them, as many as a page holds, and whether there are more.

        Hold `lock`.
        """
        found, more = await self._next()
        for message in found:
            self._passed(message)
        return found, more

    async def _next(self) -> tuple[list[MessageInfo], bool]:
        """Return the next page: at most 100 messages and 64 KiB of JSON, but one message at least."""
        found, more = await in_thread(messages_after)(
            tenant_id=self.tenant_id,
            conversation_id=self.conversation_id,
            after_seq=self.seq,
            limit=PAGE_MESSAGES,
            staff=self.staff,
        )
        size = 0
        for count, message in enumerate(found):
            size += len(json.dumps(message.as_dict(staff=self.staff), ensure_ascii=False).encode("utf-8", "replace"))
            if size > PAGE_BYTES and count:
                return found[:count], True
        return found, more

    def _passed(self, message: MessageInfo) -> None:
        """The viewer has this message: the hint that its reply begins may still be on its way."""
        if message.reply_id is not None:
            self._replies.setdefault(message.reply_id, _Reply(ended=True))
        self.seq = message.seq

    def acknowledge(self, message: MessageInfo) -> None:
        """Note a message that this viewer wrote and is told of by its acknowledgement. Call it under `lock`."""
        if message.prev_seq(staff=self.staff) == self.seq:
            self.seq = message.seq
        elif message.seq > self.seq:
            self.own.add(message.id)  # others wrote before it: they are shown first, and this one is passed over

    def _show(self, message: MessageInfo) -> None:
        self.words += message.role != "contact"
        reply = self._replies.get(message.reply_id) if message.reply_id else None
        if reply is not None and not reply.ended:
            self._finish(message.reply_id, reply, message)
        elif message.id not in self.own:
            self._send(
                {
                    "type": "message",
                    "seq": message.seq,
                    "prev_seq": message.prev_seq(staff=self.staff),
                    "message": message.as_dict(staff=self.staff),
                }
            )
        self.own.discard(message.id)
        self._passed(message)

    def _send(self, frame: dict[str, Any], *, droppable: bool = False) -> None:
        if self.staff:
            frame["conversation_id"] = str(self.conversation_id)
        self._push(frame, droppable=droppable)

    # -- replies -----------------------------------------------------------------------------------------------------
    def reply_start(self, reply_id: uuid.UUID, *, wait_for_resume: bool = False) -> None:
        """Announce a reply and follow its stream; after a reconnect the client may first say where to go on."""
        if reply_id in self._replies:
            return
        self._replies[reply_id] = _Reply()
        self._send({"type": "reply.start", "reply_id": str(reply_id)})
        if wait_for_resume:
            self._later(self._follow_after_grace(reply_id))
        else:
            self._follow(reply_id)

    def reply_resume(self, reply_id: uuid.UUID, offset: int) -> None:
        """Go on with a reply from `offset` code points. Unknown replies are announced first."""
        reply = self._replies.setdefault(reply_id, _Reply())
        if reply.handle is None and not reply.ended:
            reply.sent = offset
            self._follow(reply_id)

    async def _follow_after_grace(self, reply_id: uuid.UUID) -> None:
        await asyncio.sleep(RESUME_GRACE_S)
        self._follow(reply_id)

    def _follow(self, reply_id: uuid.UUID) -> None:
        reply = self._replies[reply_id]
        if reply.handle is None and not reply.ended:
            reply.handle = hub().subscribe(
                self.tenant_id, str(reply_id), after="0", callback=lambda entry: self._on_entry(reply_id, entry)
            )

    def _on_entry(self, reply_id: uuid.UUID, entry: StreamEntry) -> None:
        reply = self._replies.get(reply_id)
        if reply is None or reply.ended:
            return
        if entry.kind == "delta":
            self._delta(reply_id, reply, entry.offset, entry.text)
        elif entry.kind == "end":
            status = entry.data.get("status", "done")
            if status == "done":
                # The message was committed before the end was written.
                self._later(self.catch_up())
            else:
                self._later(self._end_in_order(reply_id, status, entry.data.get("code", "")))

    def _delta(self, reply_id: uuid.UUID, reply: _Reply, offset: int, text: str) -> None:
        fresh = text[max(0, reply.sent - offset) :]
        if not fresh or offset > reply.sent:
            return  # seen before, or a hole that the stored message fills at the end
        frame = {"type": "reply.delta", "reply_id": str(reply_id), "offset": reply.sent, "text": fresh}
        reply.sent += len(fresh)
        self.words += 1
        self._send(frame, droppable=True)

    def _finish(self, reply_id: uuid.UUID | None, reply: _Reply, message: MessageInfo) -> None:
        rest = message.text[reply.sent :]
        if rest and reply_id is not None:
            self._delta(reply_id, reply, reply.sent, rest)
        self._end(reply)
        self._send(
            {
                "type": "reply.end",
                "reply_id": str(reply_id),
                "status": "done",
                "prev_seq": message.prev_seq(staff=self.staff),
                "message": message.as_dict(staff=self.staff),
            }
        )

    def reply_ended(self, reply_id: uuid.UUID, status: str, code: str) -> None:
        """Tell that a reply ended without a message. A reply that was never announced is announced first."""
        reply = self._replies.get(reply_id)
        if reply is None:
            reply = self._replies[reply_id] = _Reply()
            self._send({"type": "reply.start", "reply_id": str(reply_id)})
        if reply.ended:
            return
        self._end(reply)
        self.words += 1
        frame = {"type": "reply.end", "reply_id": str(reply_id), "status": status, "prev_seq": self.seq}
        if code:
            frame["code"] = code
        self._send(frame)

    async def _end_in_order(self, reply_id: uuid.UUID, status: str, code: str) -> None:
        """End a reply after the messages before it; without the database its end does not wait for them."""
        with contextlib.suppress(Error, OSError):
            await self.catch_up()
        self.reply_ended(reply_id, status, code)

    def open_replies(self) -> list[uuid.UUID]:
        """Return the replies that this viewer was told of and that have not ended for it."""
        return [reply_id for reply_id, reply in self._replies.items() if not reply.ended]

    def _end(self, reply: _Reply) -> None:
        reply.ended = True
        if reply.handle is not None:
            reply.handle.close()
            reply.handle = None

    # -- hints -------------------------------------------------------------------------------------------------------
    def on_hint(self, hint: dict[str, Any]) -> None:
        """React to a hint of this conversation."""
        if hint.get("reply") == "start":
            self.reply_start(uuid.UUID(hint["reply_id"]))
        elif hint.get("reply") == "ended":
            self._later(self._end_in_order(uuid.UUID(hint["reply_id"]), hint["status"], hint.get("code", "")))
        elif hint.get("event") == "message.created":
            self._later(self.catch_up())

    def _later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    def close(self) -> None:
        """Stop sending and following streams."""
        self._closed = True
        for reply in self._replies.values():
            self._end(reply)
        for task in list(self._pending):
            task.cancel()
