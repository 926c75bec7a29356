"""Inboxes, contacts, conversations, messages, drafts and ratings."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.conversations.types import (
    FIRST_CHANNEL,
    MAX_EXTERNAL_ID,
    MAX_FILE_NAME,
    MAX_MEDIA_TYPE,
    MAX_NAME,
    MAX_SUBJECT,
)
from apps.core.bases import TenantModel


def tenant_unique(name: str) -> models.UniqueConstraint:
    """The target of composite foreign keys."""
    return models.UniqueConstraint(fields=["tenant_id", "id"], name=f"{name}_tenant_id_uniq")


class Inbox(TenantModel):
    """Where messages come in and go out, over a channel of one kind (`channels.py`).

    `channel_settings` are those of the kind, validated by the app that declared it. The widget token is public (it is in
    the host page); kinds without one have None. Four settings of widgets have columns besides, which the database keeps
    equal for processes of the version before (migration 0014).

    `identity_required` admits visitors with a proven identity only. A token's `iss` must be `identity_issuer` where that is
    set, its `aud` `identity_audience`.
    """

    name = models.CharField(max_length=80)
    channel = models.CharField(max_length=20, default=FIRST_CHANNEL, db_default=FIRST_CHANNEL)
    channel_settings = models.JSONField(default=dict, db_default={}, blank=True)
    widget_token = models.CharField(max_length=64, unique=True, null=True)  # noqa: DJ001  (unique, so "" would be one)
    locale = models.CharField(max_length=10, default="en")
    bot_enabled = models.BooleanField(default=True)
    collections = ArrayField(models.SlugField(max_length=60), default=list, blank=True)
    identity_secret = models.CharField(max_length=64)
    identity_required = models.BooleanField(default=False, db_default=False)
    identity_issuer = models.CharField(max_length=200, blank=True, default="", db_default="")
    identity_audience = models.CharField(max_length=200, blank=True, default="", db_default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        constraints = [tenant_unique("conversations_inbox")]


class Contact(TenantModel):
    """A person who writes to an inbox.

    `verified`: the host page proved the external id. `name_verified`, `email_verified`: it proved these as well, by a signed
    token; otherwise they are what somebody said in a browser, and nobody is looked up or merged by them.
    """

    name = models.CharField(max_length=MAX_NAME, blank=True)
    email = models.EmailField(blank=True)
    external_id = models.CharField(max_length=120, blank=True)
    verified = models.BooleanField(default=False)
    name_verified = models.BooleanField(default=False, db_default=False)
    email_verified = models.BooleanField(default=False, db_default=False)
    attributes = models.JSONField(default=dict, blank=True)
    # Whether its terms are those of name and address. The database takes it back when one of these changes.
    termed = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        constraints = [
            tenant_unique("conversations_contact"),
            models.UniqueConstraint(
                fields=["tenant_id", "external_id"],
                condition=models.Q(verified=True),
                name="contact_verified_identity",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant_id", "id"], condition=models.Q(termed=False), name="contact_without_terms")
        ]


class ContactTerm(TenantModel):
    """That a contact's name or address has a term of core/words.py."""

    id = None  # type: ignore[assignment]
    pk = models.CompositePrimaryKey("tenant_id", "term", "contact_id")
    term = models.TextField(db_collation="C")
    contact = models.ForeignKey(
        Contact, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["tenant_id", "contact"], name="contact_terms")]


class VisitorToken(TenantModel):
    """A visitor's bearer token, hashed; written with the visitor's first message."""

    digest = models.CharField(max_length=64)
    inbox = models.ForeignKey(Inbox, on_delete=models.CASCADE, db_constraint=False)
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, db_constraint=False)
    expires_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant_id", "digest"], name="visitor_token_digest")]
        indexes = [models.Index(fields=["tenant_id", "expires_at"], name="visitor_token_end")]


class Conversation(TenantModel):
    """Messages between one contact and the organisation.

    `last_seq` is the seq of the newest message, `last_public_seq` of the newest that the visitor sees; both move under
    the row's lock. `handler` says who answers: while it is "bot" every contact message gets a run of the bot.
    `waiting_since`: since when the contact waits for a person, None while nobody waits or the bot answers.
    `external_id`: what the other side of the inbox's channel calls it, None where that has no name for it.
    `first_response_at`: of the first public message of a person of the organisation; it stays when the conversation opens
    again. `resolved_at`: None while it is not resolved.
    `mood`, `language` and `intents` (newest first) come from what the contact wrote, after the fact; "" until known.
    Up to `terms_seq` the words of its messages are rows (`ConversationTerm`).
    """

    class Status(models.TextChoices):
        OPEN = "open"
        PENDING = "pending"
        RESOLVED = "resolved"

    class Handler(models.TextChoices):
        BOT = "bot"
        PERSON = "person"

    class Mood(models.TextChoices):
        NEGATIVE = "negative"
        NEUTRAL = "neutral"
        POSITIVE = "positive"

    inbox = models.ForeignKey(Inbox, on_delete=models.CASCADE, db_constraint=False)
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, db_constraint=False, related_name="conversations")
    external_id = models.CharField(max_length=MAX_EXTERNAL_ID, null=True)  # noqa: DJ001  (unique where there is one)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    handler = models.CharField(max_length=10, choices=Handler.choices, default=Handler.BOT)
    assignee = models.ForeignKey("accounts.User", on_delete=models.SET_NULL, null=True)
    subject = models.CharField(max_length=MAX_SUBJECT, blank=True)
    locale = models.CharField(max_length=10, blank=True)
    labels = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    last_seq = models.PositiveIntegerField(default=0)
    last_public_seq = models.PositiveIntegerField(default=0)
    staff_seen_seq = models.PositiveIntegerField(default=0)
    terms_seq = models.IntegerField(default=0, db_default=0)
    last_text = models.CharField(max_length=200, blank=True)
    last_role = models.CharField(max_length=10, blank=True)
    last_message_at = models.DateTimeField(null=True)
    waiting_since = models.DateTimeField(null=True)
    first_response_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    csat_value = models.PositiveSmallIntegerField(null=True)
    csat_comment = models.CharField(max_length=1000, blank=True)
    mood = models.CharField(max_length=8, choices=Mood.choices, blank=True, default="", db_default="")
    mood_score = models.FloatField(null=True)
    language = models.CharField(max_length=8, blank=True, default="", db_default="")
    intents = ArrayField(models.CharField(max_length=60), default=list, db_default=[], blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = [
            tenant_unique("conversations_conversation"),
            models.UniqueConstraint(
                fields=["tenant_id", "external_id", "inbox"],
                condition=models.Q(external_id__isnull=False),
                name="conversation_external_id",
            ),
        ]
        indexes = [
            # One for each filter of the list, in its order; without a filter the first.
            models.Index(fields=["tenant_id", "-updated_at", "-id"], name="conversation_recent"),
            models.Index(fields=["tenant_id", "status", "-updated_at", "-id"], name="conversation_queue"),
            models.Index(fields=["tenant_id", "mood", "-updated_at", "-id"], name="conversation_mood"),
            models.Index(fields=["tenant_id", "language", "-updated_at", "-id"], name="conversation_language"),
            models.Index(fields=["tenant_id", "contact", "-created_at"], name="conversation_contact"),
            # The views Mine and Unassigned of the inbox.
            models.Index(fields=["tenant_id", "assignee", "status", "-updated_at", "-id"], name="conversation_mine"),
            models.Index(
                fields=["tenant_id", "status", "handler", "-updated_at", "-id"],
                condition=models.Q(assignee__isnull=True),
                name="conversation_unassigned",
            ),
            models.Index(
                fields=["tenant_id", "id"],
                condition=models.Q(terms_seq__lt=models.F("last_seq")),
                name="conversation_without_terms",
            ),
            # Scores that processes of the version before have kept (`judgements_follow`): none, or soon none.
            models.Index(
                fields=["tenant_id", "id"],
                condition=models.Q(csat_value__isnull=False),
                name="conversation_score_kept",
            ),
        ]


class ConversationTag(TenantModel):
    """A label or an intent of a conversation as a row, to filter by; shown are the conversation's own lists.

    Below row-level security PostgreSQL looks things up in an index only by operators that leak nothing. Equality of
    texts is one, that a list contains something is none: an index on the lists would never be used.
    """

    class Kind(models.TextChoices):
        LABEL = "label"
        INTENT = "intent"

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, db_constraint=False, related_name="tags")
    kind = models.CharField(max_length=6, choices=Kind.choices)
    name = models.CharField(max_length=60)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "kind", "name", "conversation"], name="conversation_tag_once")
        ]


class ConversationTerm(TenantModel):
    """That a message of a conversation has a term of core/words.py: a row for each that the conversation says at all.

    In the order of code points ("C"), so that a beginning is a range. The second index is for deleting with the
    conversation, and for asking one conversation; PostgreSQL keeps its equal keys once, which makes it small.
    """

    id = None  # type: ignore[assignment]
    pk = models.CompositePrimaryKey("tenant_id", "term", "conversation_id")
    term = models.TextField(db_collation="C")
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["tenant_id", "conversation"], name="conversation_terms")]


class Message(TenantModel):
    """One message; `seq` is dense per conversation, notes and system messages included.

    `text` is what the visitor reads. `original_text` is what the agent wrote when that was in another language, and
    `translations` ({language: text}) are for staff. `external_id` is what the other side of the channel calls the message;
    `external_inbox_id` is then its conversation's inbox, in which that name is given once. `language`, `sentiment` and
    `intent` are "" until known.
    """

    class Role(models.TextChoices):
        CONTACT = "contact"
        BOT = "bot"
        AGENT = "agent"
        SYSTEM = "system"

    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, db_constraint=False, related_name="messages"
    )
    seq = models.PositiveIntegerField()
    prev_public_seq = models.PositiveIntegerField()
    role = models.CharField(max_length=10, choices=Role.choices)
    text = models.TextField()
    private = models.BooleanField(default=False)
    citations = models.JSONField(default=list)
    decision = models.CharField(max_length=10, blank=True)
    client_id = models.UUIDField(null=True)
    reply_id = models.UUIDField(null=True)
    external_id = models.CharField(max_length=MAX_EXTERNAL_ID, null=True)  # noqa: DJ001  (unique where there is one)
    external_inbox_id = models.UUIDField(null=True)
    attachment_count = models.SmallIntegerField(default=0, db_default=0)
    author = models.ForeignKey("accounts.User", on_delete=models.SET_NULL, null=True)
    language = models.CharField(max_length=8, blank=True, default="", db_default="")
    sentiment = models.CharField(max_length=8, blank=True, default="", db_default="")
    sentiment_score = models.FloatField(null=True)
    intent = models.CharField(max_length=60, blank=True, default="", db_default="")
    original_text = models.TextField(blank=True, default="", db_default="")
    original_language = models.CharField(max_length=8, blank=True, default="", db_default="")
    translations = models.JSONField(default=dict, db_default={}, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        constraints = [
            tenant_unique("conversations_message"),
            models.UniqueConstraint(fields=["tenant_id", "conversation", "seq"], name="message_seq"),
            models.UniqueConstraint(fields=["tenant_id", "conversation", "client_id"], name="message_client_id"),
            models.UniqueConstraint(
                fields=["tenant_id", "reply_id"], condition=models.Q(reply_id__isnull=False), name="message_reply_once"
            ),
            models.UniqueConstraint(
                fields=["tenant_id", "external_id", "external_inbox_id"],
                condition=models.Q(external_id__isnull=False),
                name="message_external_id",
            ),
        ]


class Attachment(TenantModel):
    """A file of a message. Its bytes lie in the stored files under `storage_name` (`attachments.py`)."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, db_constraint=False, related_name="attachments")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=MAX_FILE_NAME)
    media_type = models.CharField(max_length=MAX_MEDIA_TYPE)
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    storage_name = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "message", "position"], name="attachment_position"),
            models.UniqueConstraint(fields=["tenant_id", "storage_name"], name="attachment_file"),
        ]


class Draft(TenantModel):
    """A reply that the model wrote for an agent, and what became of it.

    `judged`: that what became of it is a judgement too (`services/judgements.py`).
    """

    class Status(models.TextChoices):
        RUNNING = "running"
        READY = "ready"
        CANCELLED = "cancelled"
        FAILED = "failed"
        ACCEPTED = "accepted"
        EDITED = "edited"
        REJECTED = "rejected"

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, db_constraint=False, related_name="drafts")
    requested_by = models.ForeignKey("accounts.User", on_delete=models.SET_NULL, null=True)
    instruction = models.CharField(max_length=500, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RUNNING)
    text = models.TextField(blank=True)
    final_text = models.TextField(blank=True)
    marks = models.JSONField(default=list)
    citations = models.JSONField(default=list)
    error_code = models.CharField(max_length=60, blank=True)
    judged = models.BooleanField(default=False, db_default=False)
    message = models.ForeignKey(Message, on_delete=models.SET_NULL, null=True, db_constraint=False)
    created_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints = [tenant_unique("conversations_draft")]
        indexes = [
            models.Index(
                fields=["tenant_id", "id"],
                condition=models.Q(judged=False, decided_at__isnull=False),
                name="draft_not_judged",
            )
        ]


class Rating(TenantModel):
    """A visitor's thumb on a message, as the version before keeps it; `judgements_follow` takes it to the judgements."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, db_constraint=False, related_name="ratings")
    value = models.SmallIntegerField()
    comment = models.CharField(max_length=1000, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant_id", "message"], name="rating_once")]
