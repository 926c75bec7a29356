"""Replies on the visitor socket: streamed, cut, resumed, ended."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from apps.assistant.models import Reply
from apps.conversations.services import message_post
from apps.core.tenancy import tenant_scope
from apps.inference.services import StreamWriter
from apps.knowledge.services import source_create_from_text
from apps.tenants.services import organization_settings_update
from tests import fakes
from tests.sockets import call, say, visitor, work
from tests.widget.visits import agent_say, reply_finish, reply_open

pytestmark = pytest.mark.django_db(transaction=True)

EMOJI = "Zwei Tage 🙂 dauert es. Danach 👩‍👩‍👧 ist alles da. 好的。"


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels())


async def test_an_answer_streams_and_ends_with_the_stored_message(tenant: Any, inbox: Any) -> None:
    text = "Pallets leave the yard every Tuesday and Friday before noon. Stone tiles travel on pallets."
    await call(source_create_from_text, tenant_id=tenant.id, title="Shipping", text=text)
    await call(organization_settings_update, tenant_id=tenant.id, values={"answer_threshold": 0.0}, actor="t")
    await work()
    socket, _ = await visitor(inbox)
    await say(socket, "When do pallets leave the yard?")
    await work()
    end = await socket.receive("reply.end", timeout_s=10)
    start = next(f for f in socket.frames if f["type"] == "reply.start")
    deltas = [f for f in socket.frames if f["type"] == "reply.delta"]
    assert {f["reply_id"] for f in [start, *deltas, end]} == {start["reply_id"]}
    assert (end["status"], end["prev_seq"], end["message"]["seq"], end["message"]["role"]) == ("done", 1, 2, "bot")
    assert (end["message"]["decision"], len(end["message"]["citations"])) == ("answer", 1)
    assert "".join(f["text"] for f in deltas) == end["message"]["text"]
    assert [f["offset"] for f in deltas] == _offsets(deltas)
    assert [f for f in [*socket.frames, *await socket.quiet()] if f["type"] == "message"] == []
    await socket.close()


def _offsets(deltas: list[dict[str, Any]]) -> list[int]:
    """Where each piece has to begin, counted in code points."""
    found, at = [], 0
    for delta in deltas:
        found.append(at)
        at += len(delta["text"])
    return found


async def test_a_cut_reply_goes_on_from_any_place(tenant: Any, inbox: Any) -> None:
    """A6: at each of 20 places, what was read before and what comes after is the stored text."""
    offsets = list(range(0, 40, 2))
    found = [await _resumed(tenant, inbox, offset) for offset in offsets]
    assert found == [(offset, EMOJI[offset:], EMOJI) for offset in offsets]


async def _resumed(tenant: Any, inbox: Any, offset: int) -> tuple[int, str, str]:
    """Cut a reply, come back with `offset`: where the first piece begins, all pieces, the stored text."""
    first, welcome = await visitor(inbox)
    await say(first, "hello")
    where = {"tenant": tenant, "conversation_id": welcome["conversation_id"]}
    reply_id = await call(reply_open, **where)
    writer = StreamWriter(tenant.id, str(reply_id))
    await call(lambda: [writer.append(EMOJI[:15]), writer.append(EMOJI[15:42]), writer.flush()])
    await first.close()
    again = {"visitor_token": welcome["visitor_token"], "conversation_id": welcome["conversation_id"], "after_seq": 1}
    second, _ = await visitor(inbox, **again)
    await second.receive("reply.start")
    await second.send(type="reply.resume", reply_id=str(reply_id), offset=offset)
    await second.receive("reply.delta")
    await call(lambda: [writer.append(EMOJI[42:]), writer.flush()])
    await call(reply_finish, **where, reply_id=reply_id, text=EMOJI)
    end = await second.receive("reply.end")
    deltas = [frame for frame in second.frames if frame["type"] == "reply.delta"]
    await second.close()
    return deltas[0]["offset"], "".join(delta["text"] for delta in deltas), end["message"]["text"]


async def test_a_reply_without_a_resume_is_read_from_its_beginning(tenant: Any, inbox: Any) -> None:
    first, welcome = await visitor(inbox)
    await say(first, "hello")
    reply_id = await call(reply_open, tenant=tenant, conversation_id=welcome["conversation_id"])
    writer = StreamWriter(tenant.id, str(reply_id))
    await call(lambda: [writer.append("Two days."), writer.flush()])
    second, _ = await visitor(inbox, visitor_token=welcome["visitor_token"])
    delta = await second.receive("reply.delta")
    assert (delta["offset"], delta["text"]) == (0, "Two days.")
    await asyncio.gather(first.close(), second.close())


async def test_a_lost_stream_is_made_up_from_the_stored_message(
    tenant: Any, inbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Valkey was flushed: the text comes as one last piece, and the end as ever."""
    monkeypatch.setattr("apps.conversations.services.watching.POLL_S", 0.2)
    socket, welcome = await visitor(inbox)
    await say(socket, "hello")
    reply_id = await call(reply_open, tenant=tenant, conversation_id=welcome["conversation_id"])
    second, _ = await visitor(inbox, visitor_token=welcome["visitor_token"])
    await second.receive("reply.start")
    await call(_finish_reply_silently, tenant=tenant, welcome=welcome, reply_id=reply_id)
    end = await second.receive("reply.end")
    assert "".join(f["text"] for f in second.frames if f["type"] == "reply.delta") == end["message"]["text"]
    await asyncio.gather(socket.close(), second.close())


def _finish_reply_silently(tenant: Any, welcome: dict[str, Any], reply_id: uuid.UUID) -> None:
    with tenant_scope(tenant.id):
        message_post(
            tenant_id=tenant.id,
            conversation_id=uuid.UUID(welcome["conversation_id"]),
            role="bot",
            text="Nothing of this was streamed.",
            reply_id=reply_id,
        )
        Reply.objects.filter(id=reply_id).update(status="done")


async def test_above_the_limit_the_visitor_is_told_busy(tenant: Any, inbox: Any) -> None:
    await call(organization_settings_update, tenant_id=tenant.id, values={"max_active_replies": 1}, actor="t")
    other, welcome = await visitor(inbox)
    await say(other, "first")
    await call(reply_open, tenant=tenant, conversation_id=welcome["conversation_id"])
    socket, _ = await visitor(inbox)
    ack = await say(socket, "second")
    await work()
    end = await socket.receive("reply.end")
    assert (ack["type"], end["status"], end["code"], end["prev_seq"]) == ("ack", "failed", "busy", 1)
    assert "message" not in end
    await asyncio.gather(other.close(), socket.close())


async def test_a_person_taking_over_ends_the_reply(tenant: Any, inbox: Any) -> None:
    socket, welcome = await visitor(inbox)
    await say(socket, "hello")
    await call(_dispatch)
    await agent_say(tenant, welcome, "I am here")
    await call(_dispatch)
    end = await socket.receive("reply.end")
    assert (end["status"], end["code"]) == ("cancelled", "cancelled")
    await socket.close()


def _dispatch() -> None:
    from apps.events.services import dispatch_due

    while dispatch_due():
        pass


BAD_RESUMES: list[dict[str, Any]] = [
    {},
    {"reply_id": "x", "offset": 0},
    {"reply_id": str(uuid.uuid4())},
    {"reply_id": str(uuid.uuid4()), "offset": -1},
    {"reply_id": str(uuid.uuid4()), "offset": True},
    {"reply_id": str(uuid.uuid4()), "offset": 1.5},
    {"reply_id": str(uuid.uuid4()), "offset": 10**12},
    {"reply_id": str(uuid.uuid4()), "offset": "0"},
]


async def test_a_resume_that_makes_no_sense_is_refused(inbox: Any) -> None:
    socket, _ = await visitor(inbox)
    codes = []
    for frame in BAD_RESUMES:
        await socket.send(type="reply.resume", **frame)
        codes.append((await socket.receive("error"))["code"])
    assert codes == ["resume_invalid"] * len(BAD_RESUMES)
    await socket.close()
