"""Writes on inboxes, visitors, conversations, messages, drafts and ratings."""

from apps.conversations.channels import channel_declare
from apps.conversations.services.annotations import message_annotate, messages_translated
from apps.conversations.services.conversations import (
    conversation_create,
    conversation_handoff,
    conversation_lock,
    conversation_seen,
    conversation_update,
)
from apps.conversations.services.deletion import contact_delete, conversation_delete
from apps.conversations.services.drafts import draft_create, draft_decide, draft_finish
from apps.conversations.services.feed import ConversationFeed
from apps.conversations.services.inboxes import inbox_create, inbox_identity_secret_renew, inbox_update
from apps.conversations.services.judgements import judgements_follow
from apps.conversations.services.messages import NewConversation, clean_text, message_post
from apps.conversations.services.ratings import csat_set, rating_set
from apps.conversations.services.terms import terms_follow
from apps.conversations.services.visitors import visitor_token_issue
from apps.conversations.services.watching import Watch, conversation_watch

__all__ = [
    "NewConversation",
    "Watch",
    "channel_declare",
    "contact_delete",
    "conversation_create",
    "conversation_delete",
    "conversation_handoff",
    "conversation_seen",
    "conversation_update",
    "conversation_watch",
    "ConversationFeed",
    "clean_text",
    "conversation_lock",
    "csat_set",
    "draft_create",
    "draft_decide",
    "draft_finish",
    "inbox_create",
    "inbox_identity_secret_renew",
    "inbox_update",
    "judgements_follow",
    "message_annotate",
    "message_post",
    "messages_translated",
    "rating_set",
    "terms_follow",
    "visitor_token_issue",
]
