"""A conversation of organisation A, and short names for what tests do with it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from apps.conversations.models import Conversation, Message
from apps.conversations.services import conversation_create, message_post
from apps.conversations.types import Posted
from apps.core.tenancy import tenant_scope
from apps.events.models import Event


@dataclass(frozen=True)
class Talk:
    """One conversation: write to it, look at its rows."""

    tenant_id: uuid.UUID
    id: uuid.UUID

    def post(self, text: str = "hello", role: str = "contact", **extra: Any) -> Posted:
        return message_post(tenant_id=self.tenant_id, conversation_id=self.id, role=role, text=text, **extra)

    @property
    def row(self) -> Conversation:
        with tenant_scope(self.tenant_id):
            return Conversation.objects.get(id=self.id)

    def messages(self) -> list[Message]:
        with tenant_scope(self.tenant_id):
            return list(Message.objects.filter(conversation_id=self.id).order_by("seq"))

    def events(self, type: str) -> list[dict[str, Any]]:
        with tenant_scope(self.tenant_id):
            rows = Event.objects.filter(type=type, subject_id=self.id).order_by("created_at", "id")
            return [row.data for row in rows]


@pytest.fixture
def talk_of() -> Callable[[Any], Talk]:
    """Make a conversation in an organisation that has an inbox."""
    return lambda tenant: Talk(tenant.id, conversation_create(tenant_id=tenant.id, contact={"name": "Ada"}).id)


@pytest.fixture
def talk(tenant: Any, inbox: Any, talk_of: Callable[[Any], Talk]) -> Talk:
    return talk_of(tenant)


@pytest.fixture
def other_talk(other_tenant: Any, other_inbox: Any, talk_of: Callable[[Any], Talk]) -> Talk:
    return talk_of(other_tenant)
