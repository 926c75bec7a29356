"""Replies as the sockets of visitors and staff follow them."""

from __future__ import annotations

from typing import Any

from apps.assistant.selectors import reply_state
from apps.conversations.services import ConversationFeed
from apps.core.errors import Invalid, NotFound
from apps.core.ids import parse_id
from apps.core.threads import in_thread

MAX_OFFSET = 1_000_000


async def reply_resume(feed: ConversationFeed, frame: dict[str, Any]) -> None:
    """Go on with a reply where a `reply.resume` frame says. Raises Invalid "resume_invalid", NotFound "reply_not_found".

    A reply that has ended without a message is said to have ended; one that has a message comes with the messages.
    """
    reply_id, offset = parse_id(frame.get("reply_id")), frame.get("offset")
    if reply_id is None or not isinstance(offset, int) or isinstance(offset, bool) or not 0 <= offset < MAX_OFFSET:
        raise Invalid("A resume needs a reply_id and an offset.", code="resume_invalid")
    state = await in_thread(reply_state)(
        tenant_id=feed.tenant_id, conversation_id=feed.conversation_id, reply_id=reply_id
    )
    if state is None:
        raise NotFound("There is no such reply.", code="reply_not_found")
    if state["status"] in {"queued", "running"}:
        feed.reply_resume(reply_id, offset)
    elif state["status"] != "done":
        feed.reply_ended(reply_id, state["status"], state["code"])


async def replies_settle(feed: ConversationFeed) -> None:
    """End those of a viewer's open replies that have ended without a message; for sockets to call when they poll.

    Usually the stream's end or a hint has said so; both are lost when Redis is flushed.
    """
    for reply_id in feed.open_replies():
        state = await in_thread(reply_state)(
            tenant_id=feed.tenant_id, conversation_id=feed.conversation_id, reply_id=reply_id
        )
        if state is not None and state["status"] in {"cancelled", "failed"}:
            feed.reply_ended(reply_id, state["status"], state["code"])
