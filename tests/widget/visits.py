"""What happens around a visitor: rows that were written, an agent who writes, replies that run."""

from __future__ import annotations

import uuid
from typing import Any

from asgiref.sync import sync_to_async

from apps.assistant.models import Reply
from apps.conversations.models import Conversation, Message
from apps.conversations.services import message_post
from apps.core.tenancy import tenant_scope
from apps.inference.services import StreamWriter
from tests.sockets import call


def _counts(tenant: Any) -> tuple[int, int]:
    with tenant_scope(tenant.id):
        return Conversation.objects.count(), Message.objects.count()


async def rows_of(tenant: Any) -> tuple[int, int]:
    return await sync_to_async(_counts, thread_sensitive=False)(tenant)


async def agent_say(tenant: Any, welcome: dict[str, Any], text: str, **extra: Any) -> Any:
    where = {"tenant_id": tenant.id, "conversation_id": uuid.UUID(welcome["conversation_id"])}
    return await call(message_post, **where, role="agent", text=text, **extra)


def reply_open(tenant: Any, conversation_id: str) -> uuid.UUID:
    with tenant_scope(tenant.id):
        return Reply.objects.create(
            conversation_id=conversation_id, status="running", covers_from_seq=1, covers_to_seq=1
        ).id


def reply_finish(tenant: Any, conversation_id: str, reply_id: uuid.UUID, text: str) -> None:
    where = {"tenant_id": tenant.id, "conversation_id": uuid.UUID(conversation_id)}
    with tenant_scope(tenant.id):
        posted = message_post(**where, role="bot", text=text, reply_id=reply_id, decision="answer")
        Reply.objects.filter(id=reply_id).update(status="done", message_id=posted.message.id)
    StreamWriter(tenant.id, str(reply_id)).end("done")
