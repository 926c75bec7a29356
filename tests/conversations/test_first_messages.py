"""First messages sent twice or at once: one conversation, one contact, nothing refused."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from apps.conversations.access import access_visitor, access_visitor_conversation
from apps.conversations.models import Contact, Conversation
from apps.conversations.services import NewConversation, conversation_update, message_post
from apps.core.tenancy import tenant_scope
from tests.at_once import at_once
from tests.conversations.proofs import hash_proof


def _say(visitor: Any, conversation_id: uuid.UUID, text: str = "hello", **extra: Any) -> Any:
    return message_post(
        tenant_id=visitor.tenant_id,
        conversation_id=conversation_id,
        role="contact",
        text=text,
        new=NewConversation(visitor),
        **extra,
    )


def test_a_returning_visitor_is_promised_one_conversation_until_it_begins(inbox: Any) -> None:
    """A message that is sent again after a cut finds the conversation that the first sending may still be writing."""
    token = access_visitor(inbox, None).token
    first, _ = access_visitor_conversation(access_visitor(inbox, token), None)
    _say(access_visitor(inbox, token), first)
    conversation_update(tenant_id=inbox.tenant_id, conversation_id=first, changes={"status": "resolved"}, actor="t")
    again = access_visitor(inbox, token)
    promised = {access_visitor_conversation(again, None) for _ in range(3)}
    assert len(promised) == 1
    assert promised != {(first, False)}


@pytest.mark.django_db(transaction=True)
def test_two_devices_of_one_proven_person_may_begin_at_once(inbox: Any) -> None:
    visitors = [access_visitor(inbox, None, hash_proof(inbox, "user-7")) for _ in range(8)]
    places = [access_visitor_conversation(visitor, None)[0] for visitor in visitors]
    works = [lambda v=v, p=p: _say(v, p).created for v, p in zip(visitors, places, strict=True)]
    assert at_once(works) == [True] * 8
    with tenant_scope(inbox.tenant_id):
        assert (Contact.objects.count(), Conversation.objects.count()) == (1, 8)
