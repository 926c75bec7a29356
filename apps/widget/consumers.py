"""The visitor socket, `/ws/widget`."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from typing import Any

from django.conf import settings
from django.db import Error

from apps.assistant.selectors import reply_active
from apps.assistant.services import handoff_request, replies_settle, reply_overdue, reply_resume
from apps.conversations.access import (
    access_inbox_by_widget_token,
    access_visitor,
    access_visitor_admitted,
    access_visitor_conversation,
)
from apps.conversations.selectors import conversation_get
from apps.conversations.services import (
    ConversationFeed,
    NewConversation,
    Watch,
    clean_text,
    conversation_watch,
    csat_set,
    message_post,
    rating_set,
)
from apps.conversations.types import ConversationInfo, ConversationState, InboxInfo, Visitor
from apps.core.errors import Forbidden, Invalid, NotFound, RateLimited
from apps.core.ids import parse_id
from apps.core.peers import client_network
from apps.core.sockets import PROTOCOL_VERSION, FrameConsumer
from apps.core.threads import in_thread
from apps.events.services import conversation_group, hint_send_async
from apps.usage.services import rate_check
from apps.widget.channel import widget_settings
from apps.widget.limits import HELD, visitors_check

MESSAGES_PER_S, MESSAGE_BURST = 10, 30
# A visitor who has heard nothing for so long after the acknowledgement is told that it takes longer.
REPLY_DELAYED_S = 5.0
# After so long nothing comes any more (a run has 40 s, assistant/services/replies.py): people get the conversation.
REPLY_AWAY_S = 45.0
# What a visitor supposes until a status frame says otherwise.
BOT_ANSWERS = ("open", "bot", None)


class VisitorConsumer(FrameConsumer):
    """One visitor's view of one conversation (docs/protocol.md)."""

    visitor: Visitor
    inbox: InboxInfo
    feed: ConversationFeed | None = None
    watch: Watch | None = None
    group = ""
    exists = False
    _counted = ""
    told: tuple[Any, ...] = BOT_ANSWERS
    expecting: asyncio.Task[Any] | None = None

    async def on_frame(self, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        if kind == "hello":
            await self._hello(frame)
            return
        if not self.greeted:
            await self.cut(4401)
            return
        if not await self._admitted():
            return
        action = {
            "message": self._message,
            "reply.resume": self._resume,
            "handoff.request": self._handoff,
            "typing": self._typing,
            "rating": self._rating,
            "csat": self._csat,
        }.get(kind)
        if action is None:
            await self.bad_frame(frame)
        else:
            await action(frame)

    # -- hello -------------------------------------------------------------------------------------------------------
    async def _hello(self, frame: dict[str, Any]) -> None:
        token = frame.get("widget_token")
        try:
            inbox = await in_thread(access_inbox_by_widget_token)(token if isinstance(token, str) else "")
        except NotFound as error:
            self.push_error(error)
            self.spawn(self.leave(4401))
            return
        if not self._origin_allowed(inbox):
            await self.cut(4403)
            return
        if not await self._welcome_in(inbox):
            return
        try:
            visitor = await in_thread(access_visitor)(
                inbox, frame.get("visitor_token"), frame.get("identity"), frame.get("attributes"), frame.get("locale")
            )
        except Forbidden as error:
            await self._refuse(error)
            return
        await self._enter(inbox, visitor, frame)

    async def _welcome_in(self, inbox: InboxInfo) -> bool:
        """Count the greeting and, once, the socket. Whoever is beyond a bound is closed with 4429 and comes back later."""
        try:
            await in_thread(visitors_check)("greeting", inbox=inbox, address=client_network(self.scope))
            self._leave_inbox()
            if not HELD.take(str(inbox.id), settings.SOCKETS_PER_INBOX):
                raise RateLimited("Too many visitors are connected.", code="too_many_sockets", retry_after_s=10)
            self._counted = str(inbox.id)
        except RateLimited as error:
            self.push_error(error)
            self.spawn(self.leave(4429))
            return False
        return True

    def _leave_inbox(self) -> None:
        if self._counted:
            HELD.give(self._counted)
            self._counted = ""

    async def _admitted(self) -> bool:
        """Whether the visitor may still speak: an inbox can come to admit proven identities only while sockets are open."""
        try:
            await in_thread(access_visitor_admitted)(self.visitor)
        except Forbidden as error:
            await self._refuse(error)
            return False
        return True

    async def _refuse(self, error: Forbidden) -> None:
        """Say why, show nothing more, and close."""
        await self._forget()
        self.greeted = False
        self.push_error(error)
        self.spawn(self.leave(4401))

    def _origin_allowed(self, inbox: InboxInfo) -> bool:
        found = [value.decode("latin-1") for name, value in self.scope["headers"] if name == b"origin"]
        return len(found) == 1 and (
            found[0] in settings.OWN_ORIGINS or found[0] in widget_settings(inbox).allowed_origins
        )

    async def _enter(self, inbox: InboxInfo, visitor: Visitor, frame: dict[str, Any]) -> None:
        wanted = frame.get("conversation_id")
        conversation_id, exists = await in_thread(access_visitor_conversation)(visitor, wanted)
        after = frame.get("after_seq")
        known = wanted == str(conversation_id)
        seq = after if known and isinstance(after, int) and not isinstance(after, bool) and after > 0 else 0
        await self._forget()
        self.greeted = False  # until the welcome
        self.inbox, self.visitor, self.exists = inbox, visitor, exists
        self.feed = ConversationFeed(
            tenant_id=inbox.tenant_id,
            conversation_id=conversation_id,
            staff=False,
            seq=min(seq, 2**31 - 1),
            push=self.push,
            drained=self.drained,
        )
        feed, self.told = self.feed, BOT_ANSWERS
        self.group = conversation_group(inbox.tenant_id, conversation_id)
        # Joined before the first read, so that nothing falls between the two.
        await self.channel_layer.group_add(self.group, self.channel_name)
        async with feed.lock:
            await self._welcome(feed)
        active = await in_thread(reply_active)(tenant_id=inbox.tenant_id, conversation_id=conversation_id)
        if active is not None:
            feed.reply_start(active, wait_for_resume=True)
            self._expect(feed)
        if feed is self.feed:
            self.watch = conversation_watch(
                tenant_id=inbox.tenant_id,
                conversation_id=conversation_id,
                looked=lambda state: self._looked(feed, state),
            )

    async def _welcome(self, feed: ConversationFeed) -> None:
        found, more = await feed.page()
        welcome: dict[str, Any] = {
            "type": "welcome",
            "protocol": PROTOCOL_VERSION,
            "visitor_token": self.visitor.token,
            "conversation_id": str(feed.conversation_id),
            "seq": feed.seq,
            "messages": [message.as_dict(staff=False) for message in found],
            "has_more": more,
        }
        if self.exists:
            conversation = await in_thread(conversation_get)(
                tenant_id=feed.tenant_id, conversation_id=feed.conversation_id
            )
            welcome["status"], welcome["handler"] = conversation.status, conversation.handler
            # Up to here it is history, also what follows as messages because it does not fit.
            welcome["last_seq"] = conversation.last_public_seq
            self.told = _told(conversation)
        self.push(welcome)
        self.greeted = True
        if more:
            self.spawn(feed.catch_up())

    def _looked(self, feed: ConversationFeed, state: ConversationState | None) -> None:
        """What the look without a hint found. Another tab may have begun the conversation meanwhile."""
        if feed is not self.feed or state is None:
            return
        if state.identity_required and self.visitor.identity is None:
            self.spawn(self._admitted())
            return
        self.exists = True
        if state.last_public_seq > feed.seq or feed.open_replies():
            self.spawn(self._catch_up(feed))
        if (state.status, state.handler, state.assignee_id) != self.told:
            self.spawn(self._status(feed))

    async def _catch_up(self, feed: ConversationFeed) -> None:
        # The database being away is no reason to end the socket: the next look finds the same rows.
        with contextlib.suppress(Error, OSError):
            await feed.catch_up()
            await replies_settle(feed)

    # -- frames ------------------------------------------------------------------------------------------------------
    async def _message(self, frame: dict[str, Any]) -> None:
        feed = self._open_feed()
        client_id = parse_id(frame.get("client_id"))
        if client_id is None:
            raise Invalid("client_id must be a UUID.", code="client_id_invalid")
        await self._limit("message", *self._new())
        async with feed.lock:
            posted = await in_thread(message_post)(
                tenant_id=feed.tenant_id,
                conversation_id=feed.conversation_id,
                role="contact",
                text=clean_text(frame.get("text")),
                client_id=client_id,
                new=None if self.exists else NewConversation(self.visitor),
                actor="visitor",
            )
            self.exists = True
            feed.acknowledge(posted.message)
            ack = {"client_id": frame["client_id"], "message_id": str(posted.message.id), "seq": posted.message.seq}
            self.push({"type": "ack", **ack})
            self._expect(feed)

    def _expect(self, feed: ConversationFeed) -> None:
        """Wait for words of the bot from now on, unless they are waited for already."""
        if self.expecting is None or self.expecting.done():
            self.expecting = self.spawn(self._silence(feed, feed.words))

    async def _silence(self, feed: ConversationFeed, words: int) -> None:
        """Tell a visitor whom nobody answers that it takes longer; later offer the conversation to people.

        It needs neither worker nor model: they may be what is away.
        """
        await asyncio.sleep(REPLY_DELAYED_S)
        if feed is not self.feed or feed.words != words or self.told[1] != "bot":
            return
        status, handler, _ = self.told
        self.push({"type": "status", "status": status, "handler": handler, "agent": None, "reply": "delayed"})
        await asyncio.sleep(REPLY_AWAY_S - REPLY_DELAYED_S)
        if feed is self.feed and feed.words == words and self.told[1] == "bot":
            with contextlib.suppress(Error, OSError):
                await in_thread(reply_overdue)(tenant_id=feed.tenant_id, conversation_id=feed.conversation_id)
                await feed.catch_up()

    def _new(self) -> tuple[str, ...]:
        return () if self.exists else ("visitor",)

    async def _limit(self, *kinds: str) -> None:
        """Count a frame of this visitor, and as what `kinds` name among all visitors of the address and of the inbox."""
        await in_thread(self._limits_check)(kinds)

    def _limits_check(self, kinds: tuple[str, ...]) -> None:
        digest = hashlib.sha256(self.visitor.token.encode()).hexdigest()[:24]
        rate_check(
            scope=self.visitor.tenant_id,
            key=f"visitor:{digest}",
            limit=MESSAGES_PER_S,
            window_s=1,
            burst=MESSAGE_BURST,
        )
        for kind in kinds:
            visitors_check(kind, inbox=self.inbox, address=client_network(self.scope))

    async def _resume(self, frame: dict[str, Any]) -> None:
        await self._limit()
        await reply_resume(self._open_feed(), frame)

    async def _handoff(self, frame: dict[str, Any]) -> None:
        feed = self._open_feed()
        await self._limit(*self._new())
        await in_thread(handoff_request)(
            tenant_id=feed.tenant_id, conversation_id=feed.conversation_id, new=NewConversation(self.visitor)
        )
        self.exists = True
        await feed.catch_up()

    async def _typing(self, frame: dict[str, Any]) -> None:
        feed = self._open_feed()
        hint = {"typing": "contact", "conversation_id": str(feed.conversation_id), "sender": self.channel_name}
        await hint_send_async(self.group, hint)

    async def _rating(self, frame: dict[str, Any]) -> None:
        feed = self._open_feed()
        await self._limit()
        message_id = parse_id(frame.get("message_id"))
        if message_id is None:
            raise NotFound("There is no such message.")
        await in_thread(rating_set)(
            tenant_id=feed.tenant_id,
            conversation_id=feed.conversation_id,
            message_id=message_id,
            value=_number(frame.get("value")),
            comment=_text(frame.get("comment")),
        )
        self.push({"type": "rating", "message_id": str(message_id), "value": frame["value"]})

    async def _csat(self, frame: dict[str, Any]) -> None:
        feed = self._open_feed()
        await self._limit()
        await in_thread(csat_set)(
            tenant_id=feed.tenant_id,
            conversation_id=feed.conversation_id,
            value=_number(frame.get("value")),
            comment=_text(frame.get("comment")),
        )
        self.push({"type": "csat", "value": frame["value"]})

    def _open_feed(self) -> ConversationFeed:
        if self.feed is None:
            raise Invalid("Say hello first.", code="hello_missing")
        return self.feed

    # -- hints -------------------------------------------------------------------------------------------------------
    async def hint(self, message: dict[str, Any]) -> None:
        """A hint from the channel layer."""
        if self.feed is None or message.get("conversation_id") != str(self.feed.conversation_id):
            return
        if message.get("typing"):
            if message["typing"] != "contact":
                self.push({"type": "typing", "role": message["typing"]}, droppable=True)
        elif message.get("event") == "conversation.updated":
            self.spawn(self._status(self.feed))
        else:
            self.exists = True
            self.feed.on_hint(message)

    async def _status(self, feed: ConversationFeed) -> None:
        with contextlib.suppress(Error, OSError):
            await self._status_push(feed)

    async def _status_push(self, feed: ConversationFeed) -> None:
        conversation = await in_thread(conversation_get)(tenant_id=feed.tenant_id, conversation_id=feed.conversation_id)
        if feed is not self.feed:
            return
        self.told = _told(conversation)
        agent = {"name": conversation.assignee.name} if conversation.assignee else None
        self.push({"type": "status", "status": conversation.status, "handler": conversation.handler, "agent": agent})

    async def on_close(self) -> None:
        self._leave_inbox()
        await self._forget()

    async def _forget(self) -> None:
        if self.watch is not None:
            self.watch.close()
            self.watch = None
        if self.expecting is not None:
            self.expecting.cancel()
            self.expecting = None
        if self.feed is not None:
            self.feed.close()
            self.feed = None
            await self.channel_layer.group_discard(self.group, self.channel_name)


def _told(conversation: ConversationInfo) -> tuple[Any, ...]:
    """What a visitor is told of who has the conversation, to see when it changes."""
    return conversation.status, conversation.handler, conversation.assignee.id if conversation.assignee else None


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _text(value: object) -> str:
    return value.replace("\x00", "") if isinstance(value, str) else ""
