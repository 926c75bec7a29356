"""Bodies of the conversation routes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from apps.conversations.types import FIRST_CHANNEL, MAX_EXTERNAL_ID, MAX_NAME, MAX_SUBJECT

Label = Annotated[str, Field(min_length=1, max_length=40)]
Question = Annotated[str, Field(min_length=1, max_length=120)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,59}$")]
Locale = Literal["en", "zh-hans"]


class IdentityIn(Schema):
    """A proof of who the contact is: a signed token, or an id with its hash."""

    model_config = ConfigDict(extra="forbid")

    token: str | None = Field(None, max_length=4096)
    id: str | None = Field(None, max_length=120)
    hash: str | None = Field(None, max_length=64)


class ContactIn(Schema):
    """Name and address are taken as said; with `identity` the contact is the proven one, and these are not used."""

    name: str = Field("", max_length=MAX_NAME)
    email: str = Field("", max_length=254)
    identity: IdentityIn | None = None


class ConversationIn(Schema):
    contact: ContactIn = Field(default_factory=lambda: ContactIn(name="", email="", identity=None))
    inbox: str | None = None
    external_id: str = Field("", max_length=MAX_EXTERNAL_ID)


class ConversationPatch(Schema):
    model_config = ConfigDict(extra="forbid")

    status: Literal["open", "pending", "resolved"] | None = None
    handler: Literal["bot", "person"] | None = None
    assignee_id: str | None = None
    labels: Annotated[list[Label], Field(max_length=20)] | None = None
    subject: str | None = Field(None, max_length=MAX_SUBJECT)


class InboxIn(Schema):
    """`settings` are those of the kind of channel; the first four of a widget can stand beside them too."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=80)
    channel: str = Field(FIRST_CHANNEL, max_length=20)
    settings: dict[str, Any] = {}
    allowed_origins: Annotated[list[str], Field(max_length=50)] = []
    accent: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] = "#2f5bea"
    greeting: str = Field("", max_length=300)
    suggested_questions: Annotated[list[Question], Field(max_length=6)] = []
    locale: Locale = "en"
    collections: Annotated[list[Slug], Field(max_length=20)] = []
    identity_required: bool = False


class InboxPatch(Schema):
    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, min_length=1, max_length=80)
    settings: dict[str, Any] | None = None
    allowed_origins: Annotated[list[str], Field(max_length=50)] | None = None
    accent: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] | None = None
    greeting: str | None = Field(None, max_length=300)
    suggested_questions: Annotated[list[Question], Field(max_length=6)] | None = None
    locale: Locale | None = None
    bot_enabled: bool | None = None
    collections: Annotated[list[Slug], Field(max_length=20)] | None = None
    identity_required: bool | None = None
    identity_issuer: str | None = Field(None, max_length=200)
    identity_audience: str | None = Field(None, max_length=200)


class OriginalIn(Schema):
    """What an agent wrote, before it was translated for the visitor."""

    text: str
    language: str = Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,4})?$", max_length=8)


class MessageIn(Schema):
    text: str
    role: Literal["contact", "agent"]
    private: bool = False
    client_id: str | None = None
    external_id: str = Field("", max_length=MAX_EXTERNAL_ID)
    original: OriginalIn | None = None
