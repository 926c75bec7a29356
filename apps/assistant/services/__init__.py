"""The bot: replies to visitors, drafts for agents, answers over the API."""

from apps.assistant.services.answering import AnswerRun
from apps.assistant.services.drafts import draft_cancel, draft_generate, draft_job_ended, draft_start
from apps.assistant.services.replies import (
    handoff_request,
    replies_settled,
    reply_cancel,
    reply_generate,
    reply_hint_ended,
    reply_job_ended,
    reply_overdue,
    reply_start,
)
from apps.assistant.services.viewing import replies_settle, reply_resume

__all__ = [
    "AnswerRun",
    "draft_cancel",
    "draft_generate",
    "draft_job_ended",
    "draft_start",
    "replies_settle",
    "replies_settled",
    "handoff_request",
    "reply_cancel",
    "reply_generate",
    "reply_hint_ended",
    "reply_job_ended",
    "reply_overdue",
    "reply_resume",
    "reply_start",
]
