"""Messages of a conversation in the language that an agent reads."""

from __future__ import annotations

import uuid
from typing import Any

from apps.conversations.selectors import messages_before
from apps.conversations.services import messages_translated
from apps.conversations.types import MessageInfo
from apps.core.errors import Invalid
from apps.core.tenancy import connection_release
from apps.nlp.services.running import nlp_run, options_parse, task_get
from apps.translation.services.pairs import language_base

MAX_MESSAGES = 50


def conversation_translate(
    *, tenant_id: uuid.UUID, conversation_id: uuid.UUID, target: str, before_seq: int = 0
) -> list[dict[str, Any]]:
    """Return the last 50 messages (before `before_seq`) that are not in `target` already, in it; keeps them beside the
    messages.

    Shape:  `{"message_id", "seq", "text", "source"}`, or `{"message_id", "seq", "error": {"code", "message"}}` for one
            in a language that no model translates.
    Errors: Invalid "options_invalid" (no language), and those of the task.
    """
    options_parse(task_get("translate"), {"target": target})
    messages = messages_before(
        tenant_id=tenant_id,
        conversation_id=conversation_id,
        before_seq=before_seq or 2**31 - 1,
        limit=MAX_MESSAGES,
        public_only=False,
    )
    wanted = [message for message in messages if _foreign(message, target)]
    fresh = [message for message in wanted if target not in message.annotation.translations]
    connection_release()
    made = _translated(tenant_id, fresh, target)
    done = {key: value["text"] for key, value in made.items() if "text" in value}
    if done:
        messages_translated(tenant_id=tenant_id, conversation_id=conversation_id, language=target, texts=done)
    return [_item(message, target, made.get(message.id)) for message in wanted]


def _foreign(message: MessageInfo, target: str) -> bool:
    """An agent's own words are shown as they were written; the rest unless it is in the language already."""
    if message.role == "system" or message.original_text:
        return False
    return not message.annotation.language or language_base(message.annotation.language) != language_base(target)


def _translated(tenant_id: uuid.UUID, messages: list[MessageInfo], target: str) -> dict[uuid.UUID, dict[str, Any]]:
    """Return the task's results by message; a language that is not known yet is detected."""
    found: dict[uuid.UUID, dict[str, Any]] = {}
    for language in dict.fromkeys(message.annotation.language for message in messages):
        group = [message for message in messages if message.annotation.language == language]
        options = {"source": language or "auto", "target": target}
        try:
            results = nlp_run(
                tenant_id=tenant_id, task="translate", texts=[message.text for message in group], options=options
            )
        except Invalid as error:
            results = [{"error": {"code": error.code, "message": str(error.message)}}] * len(group)
        found |= {message.id: result for message, result in zip(group, results, strict=True)}
    return found


def _item(message: MessageInfo, target: str, made: dict[str, Any] | None) -> dict[str, Any]:
    head: dict[str, Any] = {"message_id": str(message.id), "seq": message.seq}
    if made is None:
        kept = message.annotation
        return head | {"text": kept.translations[target], "source": kept.language or None}
    if "error" in made:
        return head | {"error": made["error"]}
    return head | {"text": made["text"], "source": made["source"]}
