"""What is found out about messages after they were written. Visitors are told nothing of it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import partial

from django.db import transaction

from apps.conversations.models import Conversation, ConversationTag, Message
from apps.conversations.services.tags import conversation_tags_set
from apps.conversations.types import Annotation
from apps.core.errors import NotFound
from apps.core.tenancy import tenant_scope
from apps.events.services import conversation_group, hint_send, queue_group

# The mood is that of the last messages; each counts for this share of the one after it.
_MOOD_MESSAGES = 6
_MOOD_FADES = 0.6
# A mean nearer to nought than this is neither good nor bad: "Where is my order?" has about -0.2.
_MOOD_NEUTRAL = 0.33
_MAX_INTENTS = 5
_MAX_TRANSLATIONS = 10


def message_annotate(*, tenant_id: uuid.UUID, message_id: uuid.UUID, annotation: Annotation) -> None:
    """Write what was found out about a message; of a contact's message also its conversation's mood, language, intents.

    Effects: hints to the staff sockets that watch. The conversation keeps its place in the list. Raises NotFound.
    """
    with tenant_scope(tenant_id):
        conversation_id = Message.objects.filter(id=message_id).values_list("conversation_id", flat=True).first()
        if conversation_id is None:
            raise NotFound("There is no such message.")
        # In the order of posting: first the conversation, then its messages.
        conversation = Conversation.objects.select_for_update(of=("self",)).get(id=conversation_id)
        # Locked too: translations are kept under the message's lock alone, and what is read here is written back.
        row = Message.objects.select_for_update(of=("self",)).get(id=message_id)
        row.language, row.intent = annotation.language, annotation.intent
        row.sentiment, row.sentiment_score = annotation.sentiment, annotation.sentiment_score
        row.translations = _with(row.translations, annotation.translations)
        row.save(update_fields=["language", "intent", "sentiment", "sentiment_score", "translations"])
        if row.role == Message.Role.CONTACT:
            _conversation_update(conversation)
        transaction.on_commit(partial(_hint, tenant_id, conversation_id, message_id))


def messages_translated(
    *, tenant_id: uuid.UUID, conversation_id: uuid.UUID, language: str, texts: Mapping[uuid.UUID, str]
) -> None:
    """Keep translations of messages of one conversation beside them. Messages that are gone are passed over."""
    with tenant_scope(tenant_id):
        rows = Message.objects.select_for_update().filter(conversation_id=conversation_id, id__in=list(texts))
        for row in rows.order_by("seq"):
            row.translations = _with(row.translations, {language: texts[row.id]})
            row.save(update_fields=["translations"])


def mood_of(scores: Sequence[float]) -> tuple[str, float | None]:
    """Return label and score of the mood from sentiment scores, newest first; ("", None) without one."""
    if not scores:
        return "", None
    weights = [_MOOD_FADES**age for age in range(len(scores))]
    mean = sum(weight * score for weight, score in zip(weights, scores, strict=True)) / sum(weights)
    label = "neutral" if abs(mean) < _MOOD_NEUTRAL else "positive" if mean > 0 else "negative"
    return label, round(mean, 4)


def _with(known: dict[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Return the newest translations, at most ten."""
    return dict(list({**known, **more}.items())[-_MAX_TRANSLATIONS:])


def _conversation_update(conversation: Conversation) -> None:
    said = Message.objects.filter(conversation_id=conversation.id, role=Message.Role.CONTACT).order_by("-seq")
    scores = said.filter(sentiment_score__isnull=False).values_list("sentiment_score", flat=True)
    conversation.mood, conversation.mood_score = mood_of([s for s in scores[:_MOOD_MESSAGES] if s is not None])
    conversation.language = said.exclude(language="").values_list("language", flat=True).first() or ""
    intents = said.exclude(intent="").values_list("intent", flat=True)[: 4 * _MAX_INTENTS]
    conversation.intents = list(dict.fromkeys(intents))[:_MAX_INTENTS]
    conversation.save(update_fields=["mood", "mood_score", "language", "intents"])
    conversation_tags_set(conversation=conversation, kind=ConversationTag.Kind.INTENT, names=conversation.intents)


def _hint(tenant_id: uuid.UUID, conversation_id: uuid.UUID, message_id: uuid.UUID) -> None:
    """Tell those who watch the conversation of the message, those who watch the queue of the row."""
    hint = {"conversation_id": str(conversation_id)}
    hint_send(conversation_group(tenant_id, conversation_id), {**hint, "annotated": str(message_id)})
    hint_send(queue_group(tenant_id), {**hint, "event": "message.annotated"})
