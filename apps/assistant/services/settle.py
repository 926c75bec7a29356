"""Replies that ended unheard."""

from __future__ import annotations

from apps.assistant.selectors import reply_state
from apps.conversations.services import ConversationFeed
from apps.core.threads import in_thread


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
