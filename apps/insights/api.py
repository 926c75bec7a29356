"""Routes below /api/v1/conversations that need the language tasks: search by meaning, translations."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import ConfigDict, Field

from apps.accounts.access import principal_of
from apps.conversations.access import access_conversation_by_id
from apps.insights.selectors.meaning import conversations_meaning
from apps.insights.services.conversation_translate import conversation_translate
from apps.translation.services.translate import Language

router = Router(tags=["conversations"])


class TranslationsIn(Schema):
    model_config = ConfigDict(extra="forbid")

    target: Language
    before_seq: int = Field(0, ge=0, lt=2**31)


@router.get("/search")
def conversation_search(request: HttpRequest, q: str = "", cursor: str = "", limit: int = 20) -> dict[str, Any]:
    """Conversations by meaning, nearest first; `match` is the message that is nearest to `q`.

    A cursor goes on with the `q` that it was made for. The pages end after the 1,000 nearest messages.
    """
    principal = principal_of(request)
    principal.require("conversations:read")
    found, following = conversations_meaning(tenant_id=principal.tenant_id, q=q, cursor=cursor, limit=limit)
    return {"items": [one.as_dict() for one in found], "next_cursor": following}


@router.post("/{conversation_id}/translations")
def conversation_translations(request: HttpRequest, conversation_id: str, body: TranslationsIn) -> dict[str, Any]:
    """The last 50 messages in the language that an agent reads; they are kept beside the messages."""
    principal = principal_of(request)
    principal.require("conversations:write")
    found = access_conversation_by_id(principal.tenant_id, conversation_id)
    items = conversation_translate(
        tenant_id=principal.tenant_id, conversation_id=found.id, target=body.target, before_seq=body.before_seq
    )
    return {"items": items}
