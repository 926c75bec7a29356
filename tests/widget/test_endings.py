"""No socket is left waiting: for a welcome, for the end of a reply, for the end of a draft."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisAway

from apps.assistant.models import Reply
from apps.assistant.services import replies
from apps.conversations.services import ConversationFeed, message_post
from apps.core.tenancy import tenant_scope
from apps.events.services import dispatch_due
from tests.sockets import Socket, call, say, visitor

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_hello_while_redis_is_away_ends_in_1013(
    tenant: Any, inbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a welcome the client would wait: a close makes it come again."""

    async def away(*_: Any) -> None:
        raise RedisAway

    monkeypatch.setattr("channels_redis.pubsub.RedisPubSubLoopLayer.group_add", away)
    socket = await Socket("/ws/widget").open()
    await socket.send(type="hello", widget_token=inbox.widget_token)
    assert await socket.closed() == 1013
    assert [frame["code"] for frame in socket.frames] == ["unavailable"]


def _start(tenant: Any, conversation_id: uuid.UUID) -> Reply:
    dispatch_due()
    with tenant_scope(tenant.id):
        return Reply.objects.get(conversation_id=conversation_id)


def _end(tenant: Any, reply: Reply) -> None:
    """Every hint of this end is lost: Redis was flushed."""
    with tenant_scope(tenant.id):
        replies._end_without_message(reply, Reply.Status.FAILED, "attempts_exhausted")


async def test_a_reply_that_ended_unheard_is_ended_by_the_poll(
    tenant: Any, inbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.conversations.services.watching.POLL_S", 0.2)
    socket, welcome = await visitor(inbox)
    await say(socket, "When do pallets leave?")
    reply = await call(_start, tenant=tenant, conversation_id=uuid.UUID(welcome["conversation_id"]))
    again, _ = await visitor(inbox, visitor_token=welcome["visitor_token"])
    await again.receive("reply.start")
    await call(_end, tenant=tenant, reply=reply)
    end = await again.receive("reply.end")
    assert (end["reply_id"], end["status"], end["code"]) == (str(reply.id), "failed", "attempts_exhausted")
    await socket.close()
    await again.close()


def _bot_message(tenant: Any, conversation_id: str, reply_id: uuid.UUID) -> None:
    where = {"tenant_id": tenant.id, "conversation_id": uuid.UUID(conversation_id)}
    message_post(**where, role="bot", text="On Tuesday.", decision="answer", reply_id=reply_id)


async def _at_once() -> None:
    """A reader that takes everything."""


async def test_a_reply_is_not_announced_after_its_message(tenant: Any, inbox: Any) -> None:
    """The hint that it begins can come later than the message."""
    socket, welcome = await visitor(inbox)
    await say(socket, "When do pallets leave?")
    shown, listed = uuid.uuid4(), uuid.uuid4()
    frames: list[dict[str, Any]] = []
    feed = ConversationFeed(
        tenant_id=tenant.id,
        conversation_id=uuid.UUID(welcome["conversation_id"]),
        staff=False,
        seq=0,
        push=lambda frame, **_: frames.append(frame),
        drained=_at_once,
    )
    await call(_bot_message, tenant=tenant, conversation_id=welcome["conversation_id"], reply_id=listed)
    await feed.page()
    await call(_bot_message, tenant=tenant, conversation_id=welcome["conversation_id"], reply_id=shown)
    await feed.catch_up()
    feed.reply_start(shown)
    feed.reply_start(listed)
    assert [frame["type"] for frame in frames] == ["message"]
    feed.close()
    await socket.close()
