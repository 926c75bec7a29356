"""What messages of conversations are found to be, after they were written: language, sentiment, intent, meaning.

Job `analysis.message_annotate`, one for each message. The models of these tasks read English; a message in a language
that can be translated is read in its translation, which is kept for the team. What cannot be read stays without.

Nobody waits for it, and it makes nobody wait: what a contact asks the bot is read once the bot has answered.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from apps.conversations.selectors import conversation_get, message_get, message_ids, messages_before
from apps.conversations.services import message_annotate
from apps.conversations.types import Annotation, MessageInfo
from apps.core.errors import Invalid, NotFound, Unavailable
from apps.core.tenancy import tenant_scope
from apps.inference.services import MESSAGES, SpacesChanged, space_model, spaces_hold, spaces_writing
from apps.inference.types import Priority
from apps.insights.models import MessageVector
from apps.insights.services.message_vectors import vectors_keep
from apps.jobs.services import JobContext, job_enqueue, jobs_hasten
from apps.nlp.services.heads import vectors_of
from apps.nlp.services.running import nlp_run
from apps.translation.services.language import language_among, language_of
from apps.translation.services.pairs import language_base, sources_for
from apps.translation.services.translate import SURE
from apps.translation.types import Call

# Kept from the app that it came from: jobs that wait, and processes of the version before, know it by this name.
ANNOTATE = "analysis.message_annotate"
# The language that the models of sentiment, intents and search by meaning read.
READING = "en"
# An intent that is less likely than this among the twelve is none: small talk stays below it, and has none.
_INTENT_SURE = 0.5
_DEADLINE_S = 60.0
# A message whose answer never comes is read all the same, when the sweeper comes by after this and its own 20 s:
# replies have 40 s.
_ANSWER_S = 20.0
# More of a contact's messages than wait for one answer.
_WAITING = 20
_ALL = 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Read:
    """A message as the models read it: `text` is None when they cannot."""

    language: str
    text: str | None
    translated: bool


def annotation_start(*, tenant_id: uuid.UUID, message_id: uuid.UUID, after_s: float = 0.0) -> uuid.UUID:
    """Enqueue the job for a message, in the caller's transaction; a second call returns the first one's id.

    With `after_s` it waits for `annotations_hasten`, at most about so long.
    """
    return job_enqueue(
        tenant_id=tenant_id,
        kind=ANNOTATE,
        payload={"message_id": str(message_id)},
        unique_key=str(message_id),
        after_s=after_s,
    )


def message_read_later(*, tenant_id: uuid.UUID, conversation_id: uuid.UUID, message_id: uuid.UUID, role: str) -> None:
    """Enqueue the job for a message that was just written: of a contact who talks with the bot after the bot's answer,
    which also starts those that wait for it, of all others at once. Of a deleted conversation nothing is read."""
    try:
        conversation = conversation_get(tenant_id=tenant_id, conversation_id=conversation_id)
    except NotFound:
        return
    waits = role == "contact" and conversation.handler == "bot"
    annotation_start(tenant_id=tenant_id, message_id=message_id, after_s=_ANSWER_S if waits else 0.0)
    if role != "contact":
        annotations_hasten(tenant_id=tenant_id, conversation_id=conversation_id)


def annotations_hasten(*, tenant_id: uuid.UUID, conversation_id: uuid.UUID) -> int:
    """Start the jobs of a conversation's last messages that wait for an answer; returns how many there were."""
    last = messages_before(tenant_id=tenant_id, conversation_id=conversation_id, before_seq=_ALL, limit=_WAITING)
    keys = [str(message.id) for message in last if message.role == "contact"]
    return jobs_hasten(tenant_id=tenant_id, kind=ANNOTATE, unique_keys=keys)


def annotations_start_missing(*, tenant_id: uuid.UUID, limit: int) -> int:
    """Enqueue jobs for up to `limit` messages that were never read, oldest first; returns how many are waiting now."""
    started, after = 0, None
    while started < limit:
        page = message_ids(tenant_id=tenant_id, after=after)
        if not page:
            break
        after = page[-1]
        with tenant_scope(tenant_id):
            known = set(MessageVector.objects.filter(message_id__in=page).values_list("message_id", flat=True))
            for message_id in [one for one in page if one not in known][: limit - started]:
                annotation_start(tenant_id=tenant_id, message_id=message_id)
                started += 1
    return started


def message_annotate_run(ctx: JobContext) -> None:
    """Job handler: read the message, write what was found, and where it lies among others. A deleted one is left."""
    try:
        message = message_get(tenant_id=ctx.tenant_id, message_id=uuid.UUID(ctx.payload["message_id"]))
        conversation = conversation_get(tenant_id=ctx.tenant_id, conversation_id=message.conversation_id)
    except NotFound:
        return
    hint = conversation.language or conversation.locale
    read = text_read(tenant_id=ctx.tenant_id, text=message.text, hint=hint)
    ctx.check()
    annotation = _annotation(ctx.tenant_id, message, read)
    text, spaces = read.text or message.text, spaces_writing(tenant_id=ctx.tenant_id, holder=MESSAGES)
    vectors: dict[str, Any] = {}
    while not ctx.finished:
        vectors |= {space: _vector(ctx.tenant_id, text, space) for space in spaces if space not in vectors}
        try:
            with ctx.finishing():
                message_annotate(tenant_id=ctx.tenant_id, message_id=message.id, annotation=annotation)
                wanted = spaces_hold(MESSAGES, written=tuple(vectors))
                vectors_keep(message, {space: vectors[space] for space in wanted})
        except SpacesChanged as changed:
            spaces = changed.spaces


def _vector(tenant_id: uuid.UUID, text: str, space: str) -> Any:
    model = space_model(space)
    if model is None:
        raise Unavailable("The encoder has been taken out of the catalogue meanwhile.", code="model_unavailable")
    return vectors_of(Call(tenant_id, "batch"), [text], model=model.name)[0]


def text_read(*, tenant_id: uuid.UUID, text: str, hint: str = "", priority: Priority = "batch") -> _Read:
    """Return the language of a text and its form in English, where it is or can be had; `hint`: a likely language."""
    language = _language(text, hint)
    if language in {"", READING}:
        return _Read(language, text, False)
    known = sources_for(READING)
    if known is not None and language not in known:
        return _Read(language, None, False)
    found = _one(tenant_id, "translate", text, {"source": language, "target": READING}, priority)
    return _Read(language, found["text"], True) if found else _Read(language, None, False)


def _language(text: str, hint: str) -> str:
    """Return the language of a text, "" without a letter. A short text often looks like a language that it is not:
    where that is unsure, the likeliest counts of those that can be translated, and `hint` where that is unsure too."""
    code, probability = language_of(text)
    if code == "und":
        return ""
    known, expected = sources_for(READING), language_base(hint) if hint else READING
    if probability >= SURE or known is None:
        return code
    code, share = language_among(text, {*known, READING, expected})
    return code if share >= SURE else expected


def _annotation(tenant_id: uuid.UUID, message: MessageInfo, read: _Read) -> Annotation:
    if read.text is None:
        return Annotation(language=read.language)
    sentiment = _one(tenant_id, "sentiment", read.text)
    intent = _intent(tenant_id, read.text) if message.role == "contact" else ""
    translations = {READING: read.text} if read.translated else {}
    if sentiment is None:
        return Annotation(language=read.language, intent=intent, translations=translations)
    return Annotation(read.language, sentiment["label"], sentiment["score"], intent, translations)


def _intent(tenant_id: uuid.UUID, text: str) -> str:
    """Return the likeliest intent of support, or "" when none is likely. Only what a contact writes has one."""
    found = _one(tenant_id, "classify", text)
    if found is None or found["scores"][found["label"]] < _INTENT_SURE:
        return ""
    return str(found["label"])


def _one(
    tenant_id: uuid.UUID, task: str, text: str, options: dict[str, Any] | None = None, priority: Priority = "batch"
) -> dict[str, Any] | None:
    """Return a task's result for one text, or None where it refuses this text or its language."""
    try:
        found = nlp_run(
            tenant_id=tenant_id, task=task, texts=[text], options=options, priority=priority, deadline_s=_DEADLINE_S
        )[0]
    except Invalid:
        return None
    return None if "error" in found else found
