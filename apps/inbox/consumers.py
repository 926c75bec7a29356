"""The staff socket, `/ws/inbox`: the queue, conversations, drafts, presence."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import Any, TypeGuard

from channels.auth import get_user
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY
from django.db import Error
from django.utils.crypto import constant_time_compare

from apps.accounts.access import (
    ACTIVE_ORGANIZATION,
    access_principal_by_api_key,
    access_principal_by_user,
)
from apps.accounts.services import presence_tell, presence_told
from apps.accounts.types import Principal
from apps.assistant.selectors import reply_active
from apps.assistant.services import draft_cancel, replies_settle, reply_resume
from apps.conversations.access import access_conversation_by_id
from apps.conversations.selectors import conversation_get, draft_get, message_get
from apps.conversations.services import (
    ConversationFeed,
    Watch,
    conversation_seen,
    conversation_watch,
    draft_create,
    draft_decide,
)
from apps.conversations.types import ConversationState
from apps.core.counts import Held
from apps.core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from apps.core.ids import parse_id
from apps.core.sockets import PROTOCOL_VERSION, FrameConsumer
from apps.core.threads import in_thread
from apps.events.services import conversation_group, hint_send_async, queue_group
from apps.inference.services import StreamEntry, hub

# Sockets of this process by member of staff or API key.
HELD = Held()
RECHECK_S = 30.0
MAX_SUBSCRIPTIONS = 20


class StaffConsumer(FrameConsumer):
    """One browser of a member of staff, or a program with an API key. Frames: docs/protocol.md."""

    principal: Principal
    _secret = ""
    _counted = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.feeds: dict[uuid.UUID, ConversationFeed] = {}
        self.watches: dict[uuid.UUID, Watch] = {}
        # The rows that are being read, and whether something changed meanwhile.
        self.rows: dict[uuid.UUID, bool] = {}
        self.states: dict[uuid.UUID, ConversationState] = {}
        self.drafts: dict[uuid.UUID, Any] = {}
        self.queue = False

    # -- who ---------------------------------------------------------------------------------------------------------
    async def connect(self) -> None:
        await super().connect()
        if not self._own_origin():
            return  # a page elsewhere gets nothing from the session; a program may still say hello with a key
        user = await get_user(self.scope)
        if user.is_authenticated:
            await self._enter(user=user)

    def _own_origin(self) -> bool:
        found = [value.decode("latin-1") for name, value in self.scope["headers"] if name == b"origin"]
        return len(found) == 1 and found[0] in settings.OWN_ORIGINS

    async def _enter(self, *, user: Any = None, secret: str = "") -> None:
        try:
            if user is not None:
                wanted = await in_thread(self.scope["session"].get)(ACTIVE_ORGANIZATION)
                principal = await in_thread(access_principal_by_user)(user, wanted)
            else:
                principal = await in_thread(access_principal_by_api_key)(secret)
            principal.require("conversations:read")
        except (Unauthenticated, Forbidden):
            await self.cut(4401)
            return
        bound = settings.STAFF_SOCKETS_PER_USER if principal.kind == "user" else settings.STAFF_SOCKETS_PER_KEY
        if not HELD.take(str(principal.id), bound):
            await self.cut(4429)
            return
        self._counted = str(principal.id)
        self.principal, self._secret, self.greeted = principal, secret, True
        who = {"organization_id": str(principal.tenant_id), "user_id": str(principal.id)}
        self.push({"type": "welcome", "protocol": PROTOCOL_VERSION, **who})
        self.spawn(self._recheck(user))

    async def _recheck(self, user: Any) -> None:
        """A revoked key, a removed member, a sign-out or a new password ends the socket within half a minute; another
        role changes its rights."""
        while True:
            await asyncio.sleep(RECHECK_S)
            try:
                if self._secret:
                    fresh = await in_thread(access_principal_by_api_key)(self._secret)
                else:
                    fresh = await in_thread(self._principal_now)(user)
                fresh.require("conversations:read")
            except (Unauthenticated, Forbidden):
                await self.cut(4401)
                return
            except (Error, OSError):
                continue
            self.principal = fresh

    def _principal_now(self, user: Any) -> Principal:
        """Return who the session speaks for by now. Raises Unauthenticated when it speaks for nobody here any more."""
        session = self.scope["session"]
        user.refresh_from_db()
        signed = constant_time_compare(session.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash())
        principal = access_principal_by_user(user, self.principal.tenant_id)
        # A member of several organisations is given another one when this one is gone.
        if not signed or not session.exists(session.session_key) or principal.tenant_id != self.principal.tenant_id:
            raise Unauthenticated(code="session_ended")
        return principal

    # -- frames ------------------------------------------------------------------------------------------------------
    async def on_frame(self, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        if kind == "hello" and not self.greeted:
            secret = frame.get("api_key")
            await self._enter(secret=secret if isinstance(secret, str) else "")
            return
        if not self.greeted:
            await self.cut(4401)
            return
        action = {
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "reply.resume": self._resume,
            "seen": self._seen,
            "typing": self._typing,
            "presence": self._presence,
            "draft.request": self._draft_request,
            "draft.cancel": self._draft_cancel,
            "draft.accept": self._draft_decide,
            "draft.edit": self._draft_decide,
            "draft.reject": self._draft_decide,
        }.get(kind)
        if action is None:
            await self.bad_frame(frame)
        else:
            await action(frame)

    async def _conversation_id(self, frame: dict[str, Any]) -> uuid.UUID:
        found = await in_thread(access_conversation_by_id)(self.principal.tenant_id, frame.get("conversation_id"))
        return found.id

    async def _subscribe(self, frame: dict[str, Any]) -> None:
        if frame.get("queue") is True:
            self.queue = True
            await self.channel_layer.group_add(queue_group(self.principal.tenant_id), self.channel_name)
            self.push({"type": "subscribed", "queue": True})
            return
        conversation_id = await self._conversation_id(frame)
        if conversation_id in self.feeds:
            return
        if len(self.feeds) >= MAX_SUBSCRIPTIONS:
            raise Conflict("This socket watches too many conversations.", code="subscriptions_full")
        after = frame.get("after_seq")
        tenant_id = self.principal.tenant_id
        await self.channel_layer.group_add(conversation_group(tenant_id, conversation_id), self.channel_name)
        conversation = await in_thread(conversation_get)(tenant_id=tenant_id, conversation_id=conversation_id)
        feed = ConversationFeed(
            tenant_id=tenant_id,
            conversation_id=conversation_id,
            staff=True,
            seq=min(after, 2**31 - 1) if _is_seq(after) else conversation.last_seq,
            push=self.push,
            drained=self.drained,
        )
        self.feeds[conversation_id] = feed
        self.watches[conversation_id] = conversation_watch(
            tenant_id=tenant_id, conversation_id=conversation_id, looked=lambda state: self._looked(feed, state)
        )
        self.push({"type": "subscribed", "conversation_id": str(conversation_id), "seq": feed.seq})
        await feed.catch_up()
        active = await in_thread(reply_active)(tenant_id=tenant_id, conversation_id=conversation_id)
        if active is not None:
            feed.reply_start(active, wait_for_resume=True)

    async def _unsubscribe(self, frame: dict[str, Any]) -> None:
        if frame.get("queue") is True:
            self.queue = False
            await self.channel_layer.group_discard(queue_group(self.principal.tenant_id), self.channel_name)
            return
        parsed = parse_id(frame.get("conversation_id"))
        feed = self.feeds.pop(parsed, None) if parsed else None
        if feed is not None:
            feed.close()
            self.watches.pop(feed.conversation_id).close()
            self.states.pop(feed.conversation_id, None)
            group = conversation_group(self.principal.tenant_id, feed.conversation_id)
            await self.channel_layer.group_discard(group, self.channel_name)

    async def _resume(self, frame: dict[str, Any]) -> None:
        await reply_resume(self._feed(frame), frame)

    def _feed(self, frame: dict[str, Any]) -> ConversationFeed:
        parsed = parse_id(frame.get("conversation_id"))
        feed = self.feeds.get(parsed) if parsed else None
        if feed is None:
            raise NotFound("There is no such conversation.")
        return feed

    async def _seen(self, frame: dict[str, Any]) -> None:
        conversation_id, seq = await self._conversation_id(frame), frame.get("seq")
        if not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq < 2**31:
            raise Invalid("seq must be a sequence number.", code="seq_invalid")
        if "conversations:write" not in self.principal.scopes:
            return  # who only reads leaves it unread for those who answer
        await in_thread(conversation_seen)(tenant_id=self.principal.tenant_id, conversation_id=conversation_id, seq=seq)

    async def _typing(self, frame: dict[str, Any]) -> None:
        self.principal.require("conversations:write")
        conversation_id = await self._conversation_id(frame)
        hint = {"typing": "agent", "conversation_id": str(conversation_id), "sender": self.channel_name}
        await hint_send_async(conversation_group(self.principal.tenant_id, conversation_id), hint)

    async def _presence(self, frame: dict[str, Any]) -> None:
        await presence_tell(self.principal, frame.get("status"))

    # -- drafts ------------------------------------------------------------------------------------------------------
    async def _draft_request(self, frame: dict[str, Any]) -> None:
        self.principal.require("conversations:write")
        conversation_id = await self._conversation_id(frame)
        instruction = frame.get("instruction") or ""
        if not isinstance(instruction, str):
            raise Invalid("An instruction is text.", code="instruction_invalid")
        draft = await in_thread(draft_create)(
            tenant_id=self.principal.tenant_id,
            conversation_id=conversation_id,
            user_id=self.principal.id if self.principal.kind == "user" else None,
            instruction=instruction.replace("\x00", ""),
        )
        self.push({"type": "draft.start", "draft_id": str(draft.id), "conversation_id": str(conversation_id)})
        self.drafts[draft.id] = hub().subscribe(
            self.principal.tenant_id,
            str(draft.id),
            after="0",
            callback=lambda entry: self._on_draft(draft.id, conversation_id, entry),
        )

    def _on_draft(self, draft_id: uuid.UUID, conversation_id: uuid.UUID, entry: StreamEntry) -> None:
        head = {"draft_id": str(draft_id), "conversation_id": str(conversation_id)}
        if entry.kind == "delta":
            self.push({"type": "draft.delta", **head, "offset": entry.offset, "text": entry.text})
        elif entry.kind == "restart":
            self.push({"type": "draft.start", **head})  # again: what came before is void
        elif entry.kind == "mark":
            self.push({"type": "draft.mark", **head, **entry.data})
        elif draft_id in self.drafts:
            self.drafts.pop(draft_id).close()
            self.spawn(self._draft_end(draft_id, head, entry.data.get("data", {}).get("first_token_at")))

    async def _draft_end(self, draft_id: uuid.UUID, head: dict[str, str], first_token_at: float | None) -> None:
        draft = await in_thread(draft_get)(tenant_id=self.principal.tenant_id, draft_id=draft_id)
        status = "done" if draft.status == "ready" else draft.status
        end: dict[str, Any] = {"status": status, "text": draft.text, "marks": draft.marks, "citations": draft.citations}
        end["first_token_at"] = first_token_at
        self.push({"type": "draft.end", **head, **end, **({"code": draft.error_code} if draft.error_code else {})})

    def _draft_id(self, frame: dict[str, Any]) -> uuid.UUID:
        parsed = parse_id(frame.get("draft_id"))
        if parsed is None:
            raise NotFound("There is no such draft.")
        return parsed

    async def _draft_cancel(self, frame: dict[str, Any]) -> None:
        self.principal.require("conversations:write")
        await in_thread(draft_cancel)(tenant_id=self.principal.tenant_id, draft_id=self._draft_id(frame))

    async def _draft_decide(self, frame: dict[str, Any]) -> None:
        self.principal.require("conversations:write")
        if self.principal.kind != "user":
            raise Forbidden("Drafts are decided by members of staff.", code="member_required")
        decision = {"draft.accept": "accepted", "draft.edit": "edited", "draft.reject": "rejected"}[frame["type"]]
        draft_id, text = self._draft_id(frame), frame.get("text")
        posted = await in_thread(draft_decide)(
            tenant_id=self.principal.tenant_id,
            draft_id=draft_id,
            decision=decision,
            user_id=self.principal.id,
            text=text if isinstance(text, str) else "",
        )
        decided: dict[str, Any] = {"type": "draft.decided", "draft_id": str(draft_id), "decision": decision}
        if posted is not None:
            decided["message"] = posted.message.as_dict(staff=True)
        self.push(decided)

    # -- hints -------------------------------------------------------------------------------------------------------
    async def hint(self, message: dict[str, Any]) -> None:
        """A hint from the channel layer, of the queue or of a watched conversation (or of both)."""
        colleague = presence_told(message)
        if colleague is not None:
            told = {"type": "presence", "user_id": str(colleague.user_id), "status": colleague.status.value}
            self.push(told, droppable=True)
            return
        parsed = parse_id(message.get("conversation_id"))
        if parsed is None:
            return
        feed = self.feeds.get(parsed)
        if message.get("typing"):
            if message.get("sender") != self.channel_name and feed is not None:
                frame = {"type": "typing", "role": message["typing"], "conversation_id": str(parsed)}
                self.push(frame, droppable=True)
            return
        if feed is not None:
            feed.on_hint(message)
        if feed is not None and message.get("annotated"):
            self.spawn(self._annotated(parsed, message["annotated"]))
        if message.get("event") and (self.queue or feed is not None):
            self.spawn(self._row(parsed))

    async def _row(self, conversation_id: uuid.UUID) -> None:
        """Send the conversation's row as it is now. One at a time: of two that read side by side the older may come last."""
        if conversation_id in self.rows:
            self.rows[conversation_id] = True
            return
        try:
            again = True
            while again:
                self.rows[conversation_id] = False
                row = await in_thread(conversation_get)(
                    tenant_id=self.principal.tenant_id, conversation_id=conversation_id
                )
                if row.last_seq:
                    self.push({"type": "conversation", "conversation": row.as_dict()})
                again = self.rows[conversation_id]
        except NotFound:
            return
        finally:
            self.rows.pop(conversation_id, None)

    async def _annotated(self, conversation_id: uuid.UUID, message_id: str) -> None:
        """Send a message again, with what was found out about it."""
        try:
            found = await in_thread(message_get)(
                tenant_id=self.principal.tenant_id, message_id=uuid.UUID(str(message_id))
            )
        except NotFound:
            return
        feed = self.feeds.get(conversation_id)
        if feed is not None and found.seq <= feed.seq:
            frame = {"type": "message.annotated", "conversation_id": str(conversation_id)}
            self.push({**frame, "message": found.as_dict(staff=True)})

    def _looked(self, feed: ConversationFeed, state: ConversationState | None) -> None:
        """What the look without a hint found of a watched conversation."""
        if state is None or self.feeds.get(feed.conversation_id) is not feed:
            return
        if state.last_seq > feed.seq or feed.open_replies():
            self.spawn(self._catch_up(feed))
        before = self.states.get(feed.conversation_id)
        self.states[feed.conversation_id] = state
        # The first look, too: what changed between the page and the subscription has told nobody.
        if before != state:
            self.spawn(self._row(feed.conversation_id))

    async def _catch_up(self, feed: ConversationFeed) -> None:
        # The database being away is no reason to end the socket: the next look finds the same rows.
        with contextlib.suppress(Error, OSError):
            await feed.catch_up()
            await replies_settle(feed)

    async def on_close(self) -> None:
        if self._counted:
            HELD.give(self._counted)
            self._counted = ""
        if not self.greeted:
            return
        for feed in self.feeds.values():
            feed.close()
        for watch in self.watches.values():
            watch.close()
        for handle in self.drafts.values():
            handle.close()
        for feed in self.feeds.values():
            await self.channel_layer.group_discard(
                conversation_group(self.principal.tenant_id, feed.conversation_id), self.channel_name
            )
        if self.queue:
            await self.channel_layer.group_discard(queue_group(self.principal.tenant_id), self.channel_name)


def _is_seq(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
