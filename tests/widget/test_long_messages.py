"""Pages of messages are bounded in bytes: nobody is locked out of a conversation by what was written in it."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from apps.conversations.access import MAX_ATTRIBUTES
from apps.conversations.models import Contact, Message
from apps.conversations.services import ConversationFeed, message_annotate
from apps.conversations.services.feed import PAGE_BYTES
from apps.conversations.types import MAX_ATTRIBUTES_BYTES, MAX_TRANSLATIONS_BYTES, Annotation
from apps.core import sockets as core_sockets
from apps.core.tenancy import tenant_scope
from apps.events.services import dispatch_due
from tests.sockets import Socket, call, say, staff, visitor
from tests.widget.visits import agent_say

pytestmark = pytest.mark.django_db(transaction=True)
# The longest texts a message takes: of one byte, of four, and of control characters that JSON writes as six.
LONG = {"letters": "x" * 10_000, "emoji": "😀" * 10_000, "control": "x" + "\x01" * 9_999}


async def _begun(tenant: Any, inbox: Any, texts: list[str]) -> dict[str, Any]:
    """A visitor's conversation with these messages of an agent after the first; returns its welcome."""
    socket, welcome = await visitor(inbox)
    await say(socket, "one")
    await socket.close()
    await call(lambda: [async_to_sync(agent_say)(tenant, welcome, text) for text in texts])
    return welcome


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
async def test_27_long_messages_do_not_lock_a_visitor_out(tenant: Any, inbox: Any, text: str) -> None:
    welcome = await _begun(tenant, inbox, [text] * 30)
    socket, back = await visitor(inbox, visitor_token=welcome["visitor_token"])
    seqs = [message["seq"] for message in back["messages"]]
    while seqs[-1] < 31:
        seqs.append((await socket.receive("message"))["seq"])
    assert seqs == list(range(1, 32))
    assert (back["has_more"], back["last_seq"], back["seq"]) == (True, 31, back["messages"][-1]["seq"])
    assert len(json.dumps(back["messages"], ensure_ascii=False).encode()) <= PAGE_BYTES
    assert (await say(socket, "still here"))["seq"] == 32
    await socket.close()


async def test_has_more_is_false_when_the_last_message_just_fits(tenant: Any, inbox: Any) -> None:
    welcome = await _begun(tenant, inbox, ["x" * 9_000] * 6)
    socket, back = await visitor(inbox, visitor_token=welcome["visitor_token"])
    assert (len(back["messages"]), back["has_more"]) == (7, False)
    await socket.close()


async def test_a_client_may_fetch_on_by_hello(tenant: Any, inbox: Any) -> None:
    """A client that asks for the next page instead of waiting gets each message once from it."""
    welcome = await _begun(tenant, inbox, [LONG["letters"]] * 20)
    socket, back = await visitor(inbox, visitor_token=welcome["visitor_token"])
    seqs = [message["seq"] for message in back["messages"]]
    while back["has_more"]:
        await socket.send(
            type="hello",
            widget_token=inbox.widget_token,
            visitor_token=welcome["visitor_token"],
            conversation_id=welcome["conversation_id"],
            after_seq=seqs[-1],
        )
        back = await socket.receive("welcome")
        seqs += [message["seq"] for message in back["messages"]]
    assert seqs == list(range(1, 22))
    await socket.close()


async def test_a_missed_stretch_of_long_messages_is_caught_up(
    tenant: Any, inbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.conversations.services.watching.POLL_S", 0.2)
    socket, welcome = await visitor(inbox)
    await say(socket, "one")
    await call(lambda: [async_to_sync(agent_say)(tenant, welcome, LONG["emoji"]) for _ in range(30)])
    seqs = [(await socket.receive("message", timeout_s=20))["seq"] for _ in range(30)]
    assert seqs == list(range(2, 32))
    await socket.close()


async def test_staff_who_come_back_are_not_locked_out_either(tenant: Any, inbox: Any, api: Any) -> None:
    welcome = await _begun(tenant, inbox, [LONG["emoji"]] * 30)
    socket = await staff(api.secret)
    await socket.send(type="subscribe", conversation_id=welcome["conversation_id"], after_seq=0)
    seqs = [(await socket.receive("message", timeout_s=20))["seq"] for _ in range(31)]
    assert seqs == list(range(1, 32))
    await socket.close()


async def test_translations_of_a_long_message_do_not_cut_those_who_watch(tenant: Any, inbox: Any, api: Any) -> None:
    welcome = await _begun(tenant, inbox, [LONG["emoji"]])
    await call(_translate, tenant=tenant)
    socket = await staff(api.secret)
    await socket.send(type="subscribe", conversation_id=welcome["conversation_id"], after_seq=0)
    frames = [await socket.receive("message") for _ in range(2)]
    kept = frames[1]["message"]["translations"]
    assert 0 < len(json.dumps(kept, ensure_ascii=False).encode()) <= MAX_TRANSLATIONS_BYTES
    await socket.close()


def _translate(tenant: Any) -> None:
    texts = {f"l{number}": LONG["emoji"] for number in range(10)}
    with tenant_scope(tenant.id):
        found = Message.objects.get(seq=2).id
    message_annotate(tenant_id=tenant.id, message_id=found, annotation=Annotation(translations=texts))


async def test_attributes_of_a_visitor_do_not_cut_the_staff_who_watch(tenant: Any, inbox: Any, api: Any) -> None:
    """50 attributes of 1,000 characters, told a few at a time, were a row of 300 KiB for everybody in the queue."""
    socket, welcome = await visitor(inbox)
    await say(socket, "one")
    watching = await staff(api.secret)
    await watching.send(type="subscribe", queue=True)
    await watching.receive("subscribed")
    for number in range(0, MAX_ATTRIBUTES, 3):
        told = {f"a{number + n}": "\x01" * 1000 for n in range(2)}
        hello = {"widget_token": inbox.widget_token, "visitor_token": welcome["visitor_token"], "attributes": told}
        await socket.send(type="hello", **hello)
        await socket.receive("welcome")
    await say(socket, "two")
    await call(dispatch_due)
    row = (await watching.receive("conversation"))["conversation"]
    kept = row["contact"]["attributes"]
    assert set(kept) >= set(told)
    assert len(json.dumps(kept, ensure_ascii=False).encode()) <= MAX_ATTRIBUTES_BYTES
    assert await call(_attributes_bytes, tenant=tenant) <= MAX_ATTRIBUTES_BYTES
    await asyncio.gather(socket.close(), watching.close())


def _attributes_bytes(tenant: Any) -> int:
    with tenant_scope(tenant.id):
        return len(json.dumps(Contact.objects.get().attributes, ensure_ascii=False).encode())


async def test_a_reader_that_stops_is_cut_and_costs_no_more_than_a_page(
    tenant: Any, inbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catching up waits for the reader, not for ever, and queues a page meanwhile."""
    monkeypatch.setattr(core_sockets, "SLOW_READER_S", 0.3)
    welcome = await _begun(tenant, inbox, [LONG["emoji"]] * 30)
    stuck = asyncio.Event()
    cut: list[int] = []

    class Reader(core_sockets.FrameConsumer):
        async def send(self, *_: Any, **__: Any) -> None:
            await stuck.wait()

        async def cut(self, code: int) -> None:
            cut.append(code)

    reader = Reader()
    reader.scope = {}
    pump = asyncio.ensure_future(reader._pump())
    feed = ConversationFeed(
        tenant_id=tenant.id,
        conversation_id=uuid.UUID(welcome["conversation_id"]),
        staff=False,
        seq=0,
        push=reader.push,
        drained=reader.drained,
    )
    catching = asyncio.ensure_future(feed.catch_up())
    await asyncio.sleep(0)
    while not cut:
        await asyncio.sleep(0.05)
    assert cut[0] == 1013
    assert reader._queued_bytes <= core_sockets.MAX_QUEUED_BYTES
    feed.close()
    for task in (pump, catching):
        task.cancel()


async def test_a_feed_that_was_left_sends_nothing_more(tenant: Any, inbox: Any) -> None:
    """A second hello leads to another conversation: the rest of the first one's page must not follow."""
    welcome = await _begun(tenant, inbox, [LONG["letters"]] * 30)
    frames: list[dict[str, Any]] = []

    async def drained() -> None:
        feed.close()

    feed = ConversationFeed(
        tenant_id=tenant.id,
        conversation_id=uuid.UUID(welcome["conversation_id"]),
        staff=False,
        seq=0,
        push=lambda frame, **_: frames.append(frame),
        drained=drained,
    )
    await feed.catch_up()
    assert 0 < len(frames) < 30


# -- looks without a hint --------------------------------------------------------------------------------------------
async def test_a_second_tab_finds_the_conversation_without_a_hint(
    tenant: Any, inbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was opened before the first message, so nothing was there to look for: every hint is lost here."""
    monkeypatch.setattr("apps.conversations.services.watching.POLL_S", 0.2)
    first, welcome = await visitor(inbox)
    second, _ = await visitor(inbox, visitor_token=welcome["visitor_token"])
    await say(first, "hello")
    await agent_say(tenant, welcome, "no dispatcher runs")
    texts = [(await second.receive("message"))["message"]["text"] for _ in range(2)]
    assert texts == ["hello", "no dispatcher runs"]
    assert (await _status(second))["handler"] == "person"
    assert (await say(second, "mine"))["seq"] == 3
    await asyncio.gather(first.close(), second.close())


async def _status(socket: Socket) -> dict[str, Any]:
    """The status frame, which may have come before the messages."""
    come = [frame for frame in socket.frames if frame["type"] == "status"]
    return come[-1] if come else await socket.receive("status")


async def test_a_lost_hint_of_a_take_over_only_delays(
    tenant: Any, inbox: Any, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.conversations.services.watching.POLL_S", 0.2)
    socket, welcome = await visitor(inbox)
    await say(socket, "hello")
    watching: Socket = await staff(api.secret)
    await watching.send(type="subscribe", conversation_id=welcome["conversation_id"])
    await watching.receive("subscribed")
    await asyncio.sleep(0.5)
    await agent_say(tenant, welcome, "I am here")
    assert (await socket.receive("status"))["handler"] == "person"
    # The first row is that of the first look.
    while (await watching.receive("conversation"))["conversation"]["handler"] != "person":
        pass
    await asyncio.gather(socket.close(), watching.close())
