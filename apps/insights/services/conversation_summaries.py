"""What was said so far, for who takes a conversation over and for who looks it up later: a note that only staff see.

Job `analysis.conversation_summarize`. The summary is made of sentences of the conversation itself (extractive).
"""

from __future__ import annotations

import uuid

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.conversations.selectors import conversation_get, inbox_get, messages_before
from apps.conversations.services import message_post
from apps.conversations.types import ConversationInfo, MessageInfo
from apps.core.errors import NotFound
from apps.jobs.services import JobContext, job_enqueue
from apps.nlp.services.running import nlp_run

# Kept from the app that it came from: jobs that wait, and processes of the version before, know it by this name.
SUMMARIZE = "analysis.conversation_summarize"
# Fewer messages than this are read as quickly as their summary.
MIN_MESSAGES = 4
# What happened before these is in an earlier summary, or is not what the conversation is about now.
MAX_MESSAGES = 100
_SENTENCES = 4
_MAX_CHARS = 6_000
_TITLES = {
    "handoff": gettext_lazy("Summary at hand-over"),
    "resolve": gettext_lazy("Summary of the resolved conversation"),
}
_ROLES = {
    "contact": gettext_lazy("Visitor"),
    "bot": gettext_lazy("Assistant"),
    "agent": gettext_lazy("Agent"),
}


def summary_start(*, tenant_id: uuid.UUID, conversation_id: uuid.UUID, reason: str) -> uuid.UUID | None:
    """Enqueue the summary of a conversation for "handoff" or "resolve"; once for each of them and state of it.

    Returns None where there is too little to summarise, or no such conversation.
    """
    try:
        conversation = conversation_get(tenant_id=tenant_id, conversation_id=conversation_id)
    except NotFound:
        return None
    if conversation.last_public_seq < MIN_MESSAGES:
        return None
    return job_enqueue(
        tenant_id=tenant_id,
        kind=SUMMARIZE,
        payload={"conversation_id": str(conversation_id), "reason": reason},
        unique_key=f"{conversation_id}:{reason}:{conversation.last_public_seq}",
    )


def conversation_summarize_run(ctx: JobContext) -> None:
    """Job handler: post the summary as a private message of the system. A conversation that is gone is left."""
    conversation_id = uuid.UUID(ctx.payload["conversation_id"])
    try:
        conversation = conversation_get(tenant_id=ctx.tenant_id, conversation_id=conversation_id)
    except NotFound:
        return
    messages = messages_before(
        tenant_id=ctx.tenant_id, conversation_id=conversation_id, before_seq=2**31 - 1, limit=MAX_MESSAGES
    )
    if len(messages) < MIN_MESSAGES:
        return
    text = _summary(ctx, conversation, messages)
    with ctx.finishing():
        if text:
            message_post(
                tenant_id=ctx.tenant_id, conversation_id=conversation_id, role="system", text=text, private=True
            )


def _summary(ctx: JobContext, conversation: ConversationInfo, messages: list[MessageInfo]) -> str:
    """Return title and sentences, each with who said it, in the inbox's language; "" when nothing was found."""
    joined, starts = "", []
    for message in messages:
        starts.append((len(joined), message.role))
        joined += message.text + "\n\n"
    found = nlp_run(
        tenant_id=ctx.tenant_id,
        task="summarize",
        texts=[joined],
        options={"method": "extractive", "max_sentences": _SENTENCES},
        priority="batch",
        deadline_s=60.0,
    )[0]
    if not found.get("sentences"):
        return ""
    inbox = inbox_get(tenant_id=ctx.tenant_id, inbox_id=conversation.inbox_id)
    with translation.override(inbox.locale):
        lines = [str(_TITLES[ctx.payload["reason"]])]
        for sentence in found["sentences"]:
            role = [role for start, role in starts if start <= sentence["start"]][-1]
            lines.append(f"- {_ROLES[role] if role in _ROLES else _('System')}: {sentence['text']}")
    return "\n".join(lines)[:_MAX_CHARS]
