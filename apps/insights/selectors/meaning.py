"""Conversations by what was meant in them, whatever the words."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
import uuid
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.conversations.selectors import conversations_by_ids, messages_by_ids
from apps.conversations.types import ConversationInfo, MessageInfo
from apps.core.errors import Invalid, Unavailable
from apps.core.pagination import page_limit
from apps.core.tenancy import connection_release
from apps.inference.services import MESSAGES, space_model, space_serving
from apps.insights.models import EMBEDDING_DIMENSIONS
from apps.insights.selectors.nearest import Near, messages_nearest
from apps.insights.services.annotations import text_read
from apps.nlp.services.heads import vectors_of
from apps.translation.types import Call

MAX_QUERY = 500
# A message that is further away than this, in cosine distance, is about something else.
_FAR = 0.75
# So many of the nearest messages are looked at, the second number when the first gives too few conversations for a
# page. The last pages end there: who has read hundreds of conversations asks differently.
_LOOKED_AT = (200, 1000)
# A cursor: which space, how far, which conversation; then the query's vector.
_HEAD = struct.Struct("<8sd16s")


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


@dataclass(frozen=True, slots=True)
class _Place:
    """The end of a page: the query as it was read, in which space, and the last conversation. The next page is cut from
    the same order and costs no model."""

    space: str
    vector: Any
    last: Near | None = None

    def cursor(self, last: Near) -> str:
        """Return the cursor of the page after `last`."""
        packed = _HEAD.pack(_mark(self.space), last.distance, last.conversation_id.bytes)
        packed += self.vector.astype("<f2").tobytes()
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def conversations_meaning(
    *, tenant_id: uuid.UUID, q: str, cursor: str = "", limit: int = 20
) -> tuple[list[Meant], str | None]:
    """Return a page of conversations by their nearest message, nearest first, and the next cursor. Notes count: staff
    wrote them.

    Limits: the conversations of the 1,000 nearest messages. A conversation comes once, however many pages are read.
    Errors: Invalid "query_missing", "limit_invalid", "cursor_invalid", also for a cursor of before a change of encoder;
            Unavailable "encoder_missing" where the encoder of the messages' vectors is not installed any more; Busy,
            Unavailable, DeadlineExceeded of models.
    """
    query, limit = q.replace("\x00", "").strip()[:MAX_QUERY], page_limit(limit)
    if not query:
        raise Invalid("Say what to search for.", code="query_missing")
    space = space_serving(tenant_id=tenant_id, holder=MESSAGES)
    place = _place(cursor, space) if cursor else _Place(space, _vector(tenant_id, query, space))
    found = _page(tenant_id, place, limit)
    shown = found[:limit]
    return _meant(tenant_id, shown), place.cursor(shown[-1]) if len(found) > limit else None


def _vector(tenant_id: uuid.UUID, query: str, space: str) -> Any:
    """Return the query as float16 (384,), as vectors are stored: every page compares with the same numbers."""
    model = space_model(space)
    if model is None:
        raise Unavailable("The encoder of these messages is not installed any more.", code="encoder_missing")
    connection_release()
    read = text_read(tenant_id=tenant_id, text=query, priority="live")
    return vectors_of(Call(tenant_id, "live"), [read.text or query], model=model.name)[0].astype(np.float16)


def _mark(space: str) -> bytes:
    """Return what tells spaces apart in a cursor."""
    return hashlib.sha256(space.encode()).digest()[:8]


def _place(cursor: str, space: str) -> _Place:
    """Return what `_Place.cursor` wrote in `space`. Raises Invalid."""
    try:
        packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        mark, distance, conversation = _HEAD.unpack_from(packed)
        vector = np.frombuffer(packed, "<f2", offset=_HEAD.size)
    except (ValueError, struct.error) as error:
        raise Invalid("The cursor is not valid.", code="cursor_invalid") from error
    if len(vector) != EMBEDDING_DIMENSIONS or not np.isfinite(vector).all() or not math.isfinite(distance):
        raise Invalid("The cursor is not valid.", code="cursor_invalid")
    if mark != _mark(space):
        raise Invalid("Another encoder answers now: start the search again.", code="cursor_invalid")
    return _Place(space, vector, Near(distance, uuid.UUID(bytes=conversation), uuid.UUID(int=0)))


def _page(tenant_id: uuid.UUID, place: _Place, limit: int) -> list[Near]:
    """Return the nearest message of each conversation after the place; more than `limit` when there is another page."""
    for most in _LOOKED_AT:
        rows = messages_nearest(tenant_id=tenant_id, space=place.space, vector=place.vector, limit=most)
        best: dict[uuid.UUID, Near] = {}
        for row in rows:
            if row.distance <= _FAR:
                best.setdefault(row.conversation_id, row)
        found = [row for row in best.values() if place.last is None or row.key > place.last.key]
        if len(found) > limit or len(rows) < most or rows[-1].distance > _FAR:
            break
    return found


def _meant(tenant_id: uuid.UUID, nearest: list[Near]) -> list[Meant]:
    """Return them with their rows; what was deleted meanwhile is left out."""
    conversations = {
        one.id: one for one in conversations_by_ids(tenant_id=tenant_id, ids=[one.conversation_id for one in nearest])
    }
    messages = {one.id: one for one in messages_by_ids(tenant_id=tenant_id, ids=[one.message_id for one in nearest])}
    return [
        Meant(conversations[one.conversation_id], messages[one.message_id], 1 - one.distance)
        for one in nearest
        if one.conversation_id in conversations and one.message_id in messages
    ]
