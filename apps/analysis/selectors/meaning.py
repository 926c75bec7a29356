"""Conversations by what was meant in them, whatever the words."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from pgvector.django import CosineDistance

from apps.analysis.models import MessageVector
from apps.analysis.services.annotations import text_read
from apps.analysis.services.heads import vectors_of
from apps.analysis.types import Call
from apps.conversations.selectors import conversations_by_ids, messages_by_ids
from apps.conversations.types import ConversationInfo, MessageInfo
from apps.core.errors import Invalid
from apps.core.pagination import page_limit
from apps.core.tenancy import connection_release, tenant_scope

MAX_QUERY = 500
# A message that is less near than this is about something else.
_NEAR = 0.25
# Several near messages may be of one conversation.
_PER_CONVERSATION = 4


@dataclass(frozen=True, slots=True)
class Meant:
    """A conversation and the message of it that is nearest to the query; `score` is their cosine."""

    conversation: ConversationInfo
    message: MessageInfo
    score: float

    def as_dict(self) -> dict[str, Any]:
        """Return the conversation as the API shows it, with `match`."""
        match = {"message_id": str(self.message.id), "seq": self.message.seq, "score": round(self.score, 4)}
        return self.conversation.as_dict() | {"match": match | {"text": self.message.text[:300]}}


def conversations_meaning(*, tenant_id: uuid.UUID, q: str, limit: int = 20) -> list[Meant]:
    """Return up to `limit` conversations by their nearest message, nearest first. Notes count: staff wrote them.

    Errors: Invalid "query_missing", "limit_invalid"; Busy, Unavailable, DeadlineExceeded of the models.
    """
    query, limit = q.replace("\x00", "").strip()[:MAX_QUERY], page_limit(limit)
    if not query:
        raise Invalid("Say what to search for.", code="query_missing")
    connection_release()
    read = text_read(tenant_id=tenant_id, text=query, priority="live")
    vector = vectors_of(Call(tenant_id, "live"), [read.text or query])[0]
    nearest = _nearest(tenant_id, vector, limit)
    conversations = {
        one.id: one
        for one in conversations_by_ids(tenant_id=tenant_id, ids=[conversation for conversation, _, _ in nearest])
    }
    messages = {one.id: one for one in messages_by_ids(tenant_id=tenant_id, ids=[message for _, message, _ in nearest])}
    return [
        Meant(conversations[conversation], messages[message], score)
        for conversation, message, score in nearest
        if conversation in conversations and message in messages
    ]


def _nearest(tenant_id: uuid.UUID, vector: Any, limit: int) -> list[tuple[uuid.UUID, uuid.UUID, float]]:
    """Return (conversation, its nearest message, cosine), nearest first."""
    with tenant_scope(tenant_id):
        rows = (
            MessageVector.objects.filter(tenant_id=tenant_id)
            .annotate(distance=CosineDistance("embedding", vector))
            .order_by("distance")
            .values_list("conversation_id", "message_id", "distance")[: limit * _PER_CONVERSATION]
        )
        best: dict[uuid.UUID, tuple[uuid.UUID, uuid.UUID, float]] = {}
        for conversation_id, message_id, distance in sorted(rows, key=lambda row: row[2]):
            if 1 - distance >= _NEAR and conversation_id not in best:
                best[conversation_id] = (conversation_id, message_id, 1 - float(distance))
    return list(best.values())[:limit]
