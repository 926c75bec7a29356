"""I8: whom nobody answers is told so in time, by the web process alone; later people get the conversation."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from apps.assistant.models import Reply
from apps.assistant.services import reply_overdue
from apps.conversations.models import Conversation
from apps.core.tenancy import tenant_scope
from apps.events.services import dispatch_due
from apps.inference.services import StreamWriter
from apps.widget import consumers
from tests.sockets import call, say, visitor
from tests.widget.visits import agent_say, reply_open

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds become tenths; no worker runs in these tests."""
    monkeypatch.setattr(consumers, "REPLY_DELAYED_S", 0.5)
    monkeypatch.setattr(consumers, "REPLY_AWAY_S", 3.0)


def test_the_times_are_those_that_are_promised() -> None:
    assert (consumers.REPLY_DELAYED_S, consumers.REPLY_AWAY_S) == (5.0, 45.0)


async def test_a_silent_bot_is_said_to_take_longer_once(tenant: Any, inbox: Any, soon: None) -> None:
    socket, _ = await visitor(inbox)
    await say(socket, "hello")
    await say(socket, "are you there?")
    status = await socket.receive("status")
    assert status == {"type": "status", "status": "open", "handler": "bot", "agent": None, "reply": "delayed"}
    assert [frame for frame in await socket.quiet(1.0) if frame["type"] == "status"] == []
    await socket.close()


async def test_a_conversation_that_nobody_answers_goes_to_people(tenant: Any, inbox: Any, soon: None) -> None:
    socket, welcome = await visitor(inbox)
    await say(socket, "hello")
    await call(dispatch_due)
    message = (await socket.receive("message", timeout_s=20))["message"]
    assert (message["role"], message["decision"]) == ("bot", "handoff")
    assert await call(_state, tenant=tenant, conversation_id=welcome["conversation_id"]) == ("person", ["cancelled"])
    await socket.close()


def _state(tenant: Any, conversation_id: str) -> tuple[str, list[str]]:
    with tenant_scope(tenant.id):
        statuses = list(Reply.objects.values_list("status", flat=True))
        return Conversation.objects.get(id=conversation_id).handler, statuses


async def test_text_of_the_reply_is_word_enough(tenant: Any, inbox: Any, soon: None) -> None:
    socket, welcome = await visitor(inbox)
    await say(socket, "hello")
    reply_id = await call(reply_open, tenant=tenant, conversation_id=welcome["conversation_id"])
    writer = StreamWriter(tenant.id, str(reply_id))
    await socket.send(type="reply.resume", reply_id=str(reply_id), offset=0)
    await call(lambda: [writer.append("On Tuesday."), writer.flush()])
    await socket.receive("reply.delta")
    assert [frame for frame in await socket.quiet(1.0) if frame["type"] == "status"] == []
    await socket.close()


async def test_a_reply_that_only_begins_is_no_word(tenant: Any, inbox: Any, soon: None) -> None:
    """The worker hangs between the start and the first sentence; the visitor comes back meanwhile."""
    socket, welcome = await visitor(inbox)
    await say(socket, "hello")
    await call(reply_open, tenant=tenant, conversation_id=welcome["conversation_id"])
    again, _ = await visitor(inbox, visitor_token=welcome["visitor_token"])
    await again.receive("reply.start")
    assert (await again.receive("status"))["reply"] == "delayed"
    await asyncio.gather(socket.close(), again.close())


async def test_who_talks_to_a_person_is_told_nothing_of_the_bot(
    tenant: Any, inbox: Any, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.conversations.services.watching.POLL_S", 0.1)
    socket, welcome = await visitor(inbox)
    await say(socket, "hello")
    await agent_say(tenant, welcome, "I am here")
    await socket.receive("message")
    await say(socket, "good")
    frames = await socket.quiet(1.0)
    assert [frame for frame in [*socket.frames, *frames] if frame.get("reply") == "delayed"] == []
    await socket.close()


async def test_an_answer_in_the_last_moment_wins(tenant: Any, inbox: Any) -> None:
    """The conversation is looked at under its lock: what has been answered is not handed over."""
    socket, welcome = await visitor(inbox)
    await say(socket, "hello")
    where = {"tenant_id": tenant.id, "conversation_id": uuid.UUID(welcome["conversation_id"])}
    await agent_say(tenant, welcome, "I am here")
    assert await call(reply_overdue, **where) is False
    await socket.close()
