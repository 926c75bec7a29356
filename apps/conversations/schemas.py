"""Bodies of the conversation routes."""

from __future__ import annotations

from typing import Annotated, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

Label = Annotated[str, Field(min_length=1, max_length=40)]


class ContactIn(Schema):
    name: str = Field("", max_length=120)
    email: str = Field("", max_length=254)


class ConversationIn(Schema):
    contact: ContactIn = Field(default_factory=lambda: ContactIn(name="", email=""))
    inbox: str | None = None


class ConversationPatch(Schema):
    model_config = ConfigDict(extra="forbid")

    status: Literal["open", "pending", "resolved"] | None = None
    handler: Literal["bot", "person"] | None = None
    assignee_id: str | None = None
    labels: Annotated[list[Label], Field(max_length=20)] | None = None
    subject: str | None = Field(None, max_length=200)


class MessageIn(Schema):
    text: str
    role: Literal["contact", "agent"]
    private: bool = False
    client_id: str | None = None
