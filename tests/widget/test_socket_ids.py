"""Ids of others and odd values on the visitor socket."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from typing import Any

import pytest

from apps.conversations.models import Inbox
from apps.conversations.services import conversation_create, message_post, rating_set
from apps.core.tenancy import tenant_scope
from apps.widget.consumers import VisitorConsumer
from tests import fakes
from tests.sockets import actions_of, call, say, visitor, work
from tests.widget.visits import reply_open

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels())


# Frames whose ids name something; the rest act on the socket's own conversation.
WITH_IDS = {"hello", "rating", "reply.resume"}
WITHOUT_IDS = {"message", "handoff.request", "typing", "csat"}


def test_every_action_is_known_here() -> None:
    assert actions_of(VisitorConsumer) == WITH_IDS | WITHOUT_IDS


def _foreign(tenant: Any, inbox: Any) -> dict[str, str]:
    """A conversation, a message and a running reply that are not the visitor's."""
    where = {"tenant_id": tenant.id}
    made = conversation_create(**where, contact={}, inbox_id=inbox.id)
    posted = message_post(**where, conversation_id=made.id, role="bot", text="cnry-B")
    reply_id = reply_open(tenant, str(made.id))
    return {"conversation_id": str(made.id), "message_id": str(posted.message.id), "reply_id": str(reply_id)}


def _frame_with(kind: str, ids: dict[str, str]) -> dict[str, Any]:
    return {
        "rating": {"type": "rating", "message_id": ids["message_id"], "value": 1},
        "reply.resume": {"type": "reply.resume", "reply_id": ids["reply_id"], "offset": 0},
    }[kind]


@pytest.mark.parametrize("owner", ["other organisation", "same organisation"])
@pytest.mark.parametrize("kind", sorted(WITH_IDS - {"hello"}))
async def test_a_foreign_id_looks_missing(
    tenant: Any, inbox: Any, other_tenant: Any, other_inbox: Any, kind: str, owner: str
) -> None:
    theirs = (other_tenant, other_inbox) if owner == "other organisation" else (tenant, inbox)
    foreign = await call(lambda: _foreign(*theirs))
    random = {name: str(uuid.uuid4()) for name in foreign}
    socket, _ = await visitor(inbox)
    await say(socket, "hello")
    answers = []
    for ids in (foreign, random):
        await socket.send(**_frame_with(kind, ids))
        answers.append(await socket.receive("error"))
    assert answers[0] == answers[1]
    assert "cnry-B" not in str(socket.frames)
    await socket.close()


@pytest.mark.parametrize("owner", ["other organisation", "same organisation"])
async def test_a_foreign_conversation_id_opens_ones_own(
    tenant: Any, inbox: Any, other_tenant: Any, other_inbox: Any, owner: str
) -> None:
    theirs = (other_tenant, other_inbox) if owner == "other organisation" else (tenant, inbox)
    foreign = await call(lambda: _foreign(*theirs))
    socket, welcome = await visitor(inbox, conversation_id=foreign["conversation_id"], after_seq=0)
    assert welcome["conversation_id"] != foreign["conversation_id"]
    assert welcome["messages"] == []
    await say(socket, "hello")
    await work()
    await socket.quiet()
    assert "cnry-B" not in str(socket.frames)
    await socket.close()


async def test_a_rated_message_of_ones_own_is_found(tenant: Any, inbox: Any) -> None:
    """The control of the tests above."""
    socket, welcome = await visitor(inbox)
    ack = await say(socket, "hello")
    await call(
        rating_set,
        tenant_id=tenant.id,
        conversation_id=uuid.UUID(welcome["conversation_id"]),
        message_id=uuid.UUID(ack["message_id"]),
        value=1,
    )
    await socket.send(type="rating", message_id=ack["message_id"], value=1)
    assert (await socket.next())["type"] == "rating"
    await socket.close()


ODD = ["\ud800", "a\x00b", 7, 1.5, float("nan"), True, None, [], ["x"], {"a": 1}, "x" * 5000, "' OR 1=1 --"]


async def test_nothing_that_a_page_says_of_its_visitor_keeps_them_from_writing(tenant: Any, inbox: Any) -> None:
    """Attributes and locale come from the host page; odd ones are dropped or cleaned."""
    tries: list[dict[str, Any]] = [{"locale": value} for value in ODD]
    tries += [{"attributes": value} for value in ODD]
    tries += [{"attributes": {"plan": value}} for value in ODD]
    tries += [{"attributes": {str(value): "gold"}} for value in ODD]
    tries += [{"attributes": {str(number): "x" * 900 for number in range(15)}}]
    kinds = []
    for hello in tries:
        socket, _ = await visitor(inbox, **hello)
        kinds.append((await say(socket, "hello"))["type"])
        await socket.close()
    assert kinds == ["ack"] * len(tries)


async def test_nothing_in_a_proven_identity_keeps_the_visitor_from_writing(tenant: Any, inbox: Any) -> None:
    kinds = []
    for value in ODD:
        identity = {**await call(_proof, inbox=inbox, identity="user-7"), "name": value, "email": value}
        socket, _ = await visitor(inbox, identity=identity)
        kinds.append((await say(socket, "hello"))["type"])
        await socket.close()
    assert kinds == ["ack"] * len(ODD)


def _proof(inbox: Any, identity: str) -> dict[str, str]:
    with tenant_scope(inbox.tenant_id):
        secret = Inbox.objects.get(id=inbox.id).identity_secret
    return {"id": identity, "hash": hmac.new(secret.encode(), identity.encode(), hashlib.sha256).hexdigest()}
