"""The visitor socket against contract.md: hello, messages, what is refused."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from apps.conversations.models import Message
from apps.conversations.services import conversation_handoff, conversation_update
from apps.core import sockets as core_sockets
from apps.core.tenancy import tenant_scope
from apps.widget.consumers import VisitorConsumer
from tests import fakes
from tests.sockets import OWN, Socket, actions_of, call, say, staff, visitor, work
from tests.widget.visits import agent_say, rows_of

pytestmark = pytest.mark.django_db(transaction=True)

MESSAGE_KEYS = {"id", "seq", "role", "text", "citations", "created_at"}


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels())


# -- hello -----------------------------------------------------------------------------------------------------------
async def test_a_welcome_has_what_the_contract_names(tenant: Any, inbox: Any) -> None:
    socket, welcome = await visitor(inbox)
    names = {"type", "protocol", "visitor_token", "conversation_id", "seq", "messages", "has_more"}
    assert set(welcome) == names
    assert (welcome["seq"], welcome["messages"], welcome["has_more"]) == (0, [], False)
    await socket.close()


async def test_a_page_view_writes_nothing(tenant: Any, inbox: Any) -> None:
    socket, _ = await visitor(inbox)
    assert await rows_of(tenant) == (0, 0)
    await socket.close()


async def test_the_reserved_conversation_survives_a_reconnect(tenant: Any, inbox: Any) -> None:
    first, welcome = await visitor(inbox)
    second, again = await visitor(inbox, visitor_token=welcome["visitor_token"])
    assert again["conversation_id"] == welcome["conversation_id"]
    await asyncio.gather(first.close(), second.close())


NO_TOKENS: list[Any] = ["", "wgt_unknown", None, 7, ["x"], {"a": 1}, "x" * 300, "\ud800", "\x00"]


async def _answer_to(*frames: dict[str, Any], origin: str | None = OWN) -> tuple[int, list[str]]:
    """Open, send, wait for the end: the close code and the codes of the errors before it."""
    socket = await Socket("/ws/widget", origin=origin).open()
    for frame in frames:
        await socket.send(**frame)
    code = await socket.closed()
    return code, [frame.get("code", frame["type"]) for frame in socket.frames]


async def test_an_unknown_widget_token_ends_in_4401(inbox: Any) -> None:
    found = [await _answer_to({"type": "hello", "widget_token": token}) for token in NO_TOKENS]
    assert found == [(4401, ["widget_not_found"])] * len(NO_TOKENS)


async def test_nothing_is_done_before_hello(inbox: Any) -> None:
    kinds = [*sorted(actions_of(VisitorConsumer) - {"hello"}), "nonsense"]
    found = [await _answer_to({"type": kind, "client_id": str(uuid.uuid4()), "text": "hi"}) for kind in kinds]
    assert found == [(4401, [])] * len(kinds)


async def test_a_silent_socket_is_closed(inbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_sockets, "HELLO_TIMEOUT_S", 0.2)
    socket = await Socket("/ws/widget").open()
    assert await socket.closed(2) == 4401


NO_IDENTITIES: list[Any] = [
    {"id": "u", "hash": "x"},
    {"id": "u"},
    {"hash": "x"},
    {"id": "\ud800", "hash": "x"},
    {"id": "u", "hash": "\ud800"},
    "u",
    7,
    [],
    True,
]


async def test_an_unproven_identity_is_refused(tenant: Any, inbox: Any) -> None:
    hello = {"type": "hello", "widget_token": inbox.widget_token}
    found = [await _answer_to({**hello, "identity": identity}) for identity in NO_IDENTITIES]
    assert found == [(4401, ["identity_invalid"])] * len(NO_IDENTITIES)
    assert await rows_of(tenant) == (0, 0)


# -- messages --------------------------------------------------------------------------------------------------------
async def test_an_ack_comes_after_the_commit(tenant: Any, inbox: Any) -> None:
    socket, _ = await visitor(inbox)
    ack = await say(socket, "hello")
    with_row = await call(lambda: _texts(tenant, ack["message_id"]))
    assert (set(ack), ack["seq"]) == ({"type", "client_id", "message_id", "seq"}, 1)
    assert with_row == ["hello"]
    await socket.close()


def _texts(tenant: Any, message_id: str) -> list[str]:
    with tenant_scope(tenant.id):
        return list(Message.objects.filter(id=message_id).values_list("text", flat=True))


async def test_the_same_client_id_gets_the_same_ack(tenant: Any, inbox: Any) -> None:
    first, welcome = await visitor(inbox)
    client_id = str(uuid.uuid4())
    acks = [await say(first, "hello", client_id), await say(first, "hello", client_id)]
    second, _ = await visitor(inbox, visitor_token=welcome["visitor_token"])
    acks.append(await say(second, "hello", client_id))
    assert acks == [acks[0]] * 3
    assert await rows_of(tenant) == (1, 1)
    await asyncio.gather(first.close(), second.close())


async def test_ones_own_message_is_not_sent_back(tenant: Any, inbox: Any) -> None:
    socket, _ = await visitor(inbox)
    await say(socket, "hello")
    await work()
    assert [f for f in await socket.quiet() if f["type"] == "message" and f["message"]["role"] == "contact"] == []
    await socket.close()


async def test_a_second_tab_sees_the_message(tenant: Any, inbox: Any) -> None:
    first, welcome = await visitor(inbox)
    await say(first, "one")
    second, _ = await visitor(inbox, visitor_token=welcome["visitor_token"])
    await say(first, "two")
    await work()
    frame = await second.receive("message")
    assert set(frame) == {"type", "seq", "prev_seq", "message"}
    assert (frame["seq"], frame["prev_seq"], frame["message"]["text"]) == (2, 1, "two")
    assert set(frame["message"]) >= MESSAGE_KEYS
    await asyncio.gather(first.close(), second.close())


async def test_a_note_is_never_sent_and_never_a_gap(tenant: Any, inbox: Any) -> None:
    socket, welcome = await visitor(inbox)
    await say(socket, "hello")
    await call(
        conversation_handoff,
        tenant_id=tenant.id,
        conversation_id=uuid.UUID(welcome["conversation_id"]),
        reason="t",
        actor="t",
    )
    await agent_say(tenant, welcome, "secret note", private=True)
    await agent_say(tenant, welcome, "public")
    await work()
    frame = await socket.receive("message")
    assert (frame["seq"], frame["prev_seq"], frame["message"]["text"]) == (3, 1, "public")
    assert "secret" not in str(socket.frames)
    await socket.close()


async def test_without_a_hint_the_poll_finds_the_message(
    tenant: Any, inbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.conversations.services.watching.POLL_S", 0.1)
    socket, welcome = await visitor(inbox)
    await say(socket, "hello")
    await agent_say(tenant, welcome, "no dispatcher runs")
    assert (await socket.receive("message"))["message"]["text"] == "no dispatcher runs"
    await socket.close()


async def test_a_reconnect_gives_what_was_missed_once(tenant: Any, inbox: Any) -> None:
    first, welcome = await visitor(inbox)
    await say(first, "one")
    await first.close()
    await agent_say(tenant, welcome, "two")
    await agent_say(tenant, welcome, "three")
    again = {"visitor_token": welcome["visitor_token"], "conversation_id": welcome["conversation_id"]}
    second, back = await visitor(inbox, **again, after_seq=1)
    assert [m["seq"] for m in back["messages"]] == [2, 3]
    assert (back["seq"], back["status"], back["handler"]) == (3, "open", "person")
    await second.close()


async def test_more_than_a_page_follows_as_messages_in_order(tenant: Any, inbox: Any) -> None:
    first, welcome = await visitor(inbox)
    await say(first, "one")
    await first.close()
    await call(lambda: [async_to_sync(agent_say)(tenant, welcome, str(n)) for n in range(104)])
    second, back = await visitor(inbox, visitor_token=welcome["visitor_token"])
    rest = [(await second.receive("message"))["seq"] for _ in range(5)]
    assert (len(back["messages"]), back["has_more"], rest) == (100, True, [101, 102, 103, 104, 105])
    await second.close()


async def test_after_seq_counts_only_for_the_conversation_it_names(tenant: Any, inbox: Any) -> None:
    first, welcome = await visitor(inbox)
    await say(first, "one")
    second, back = await visitor(
        inbox, visitor_token=welcome["visitor_token"], conversation_id=str(uuid.uuid4()), after_seq=1
    )
    assert [m["seq"] for m in back["messages"]] == [1]
    await asyncio.gather(first.close(), second.close())


async def test_two_visitors_do_not_hear_each_other(tenant: Any, inbox: Any) -> None:
    first, _ = await visitor(inbox)
    second, _ = await visitor(inbox)
    await say(first, "mine")
    await work()
    await second.quiet()
    assert "mine" not in str(second.frames)
    await asyncio.gather(first.close(), second.close())


BAD_MESSAGES: list[tuple[dict[str, Any], str]] = [
    ({"text": "hi"}, "client_id_invalid"),
    ({"text": "hi", "client_id": "7"}, "client_id_invalid"),
    ({"text": "hi", "client_id": None}, "client_id_invalid"),
    ({"text": "hi", "client_id": ["x"]}, "client_id_invalid"),
    ({"text": "hi", "client_id": "\ud800"}, "client_id_invalid"),
    ({"client_id": str(uuid.uuid4())}, "text_invalid"),
    ({"text": 7, "client_id": str(uuid.uuid4())}, "text_invalid"),
    ({"text": " ", "client_id": str(uuid.uuid4())}, "text_empty"),
    ({"text": "\ud83d", "client_id": str(uuid.uuid4())}, "text_invalid"),
    ({"text": "x" * 10_001, "client_id": str(uuid.uuid4())}, "text_too_long"),
]


async def test_a_bad_message_is_refused_and_the_socket_lives(tenant: Any, inbox: Any) -> None:
    socket, _ = await visitor(inbox)
    codes = []
    for frame, _ in BAD_MESSAGES:
        await socket.send(type="message", **frame)
        codes.append((await socket.receive("error"))["code"])
    assert codes == [code for _, code in BAD_MESSAGES]
    assert (await say(socket, "still here"))["seq"] == 1
    await socket.close()


async def test_five_messages_a_second_are_always_taken(tenant: Any, inbox: Any) -> None:
    socket, _ = await visitor(inbox)
    assert [(await say(socket, str(n)))["seq"] for n in range(25)] == list(range(1, 26))
    await socket.close()


async def test_a_flood_is_refused_without_losing_the_socket(
    tenant: Any, inbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.widget.consumers.MESSAGES_PER_S", 0.1)  # however slow the machine is
    socket, _ = await visitor(inbox)
    for number in range(60):
        await socket.send(type="message", client_id=str(uuid.uuid4()), text=str(number))
    answers = [await socket.receive("ack", "error", timeout_s=20) for _ in range(60)]
    refused = [answer for answer in answers if answer["type"] == "error"]
    assert {answer["code"] for answer in refused} == {"rate_limited"}
    assert [answer for answer in refused if answer["retry_after_s"] < 1] == []
    assert len(answers) - len(refused) >= 30
    await socket.close()


# -- the other frames ------------------------------------------------------------------------------------------------
async def test_asking_for_a_person_hands_over_with_one_bot_message(tenant: Any, inbox: Any) -> None:
    socket, _ = await visitor(inbox)
    await socket.send(type="handoff.request")
    frames = [await socket.receive("message") for _ in range(2)]
    await work()
    status = await socket.receive("status")
    assert [(f["message"]["role"], f["message"]["decision"]) for f in frames] == [("contact", None), ("bot", "handoff")]
    assert (status["status"], status["handler"]) == ("open", "person")
    await socket.send(type="handoff.request")
    assert await socket.quiet() == []
    await socket.close()


async def test_a_rating_is_confirmed(tenant: Any, inbox: Any) -> None:
    socket, welcome = await visitor(inbox)
    await say(socket, "hello")
    posted = await agent_say(tenant, welcome, "hi")
    await socket.send(type="rating", message_id=str(posted.message.id), value=-1, comment="no\x00pe")
    assert await socket.receive("rating") == {"type": "rating", "message_id": str(posted.message.id), "value": -1}
    await socket.close()


async def test_a_score_is_confirmed(tenant: Any, inbox: Any) -> None:
    socket, _ = await visitor(inbox)
    await say(socket, "hello")
    await socket.send(type="csat", value=5)
    assert await socket.receive("csat") == {"type": "csat", "value": 5}
    await socket.close()


async def test_typing_reaches_staff_and_not_the_visitor(tenant: Any, inbox: Any, api: Any) -> None:
    socket, welcome = await visitor(inbox)
    await say(socket, "hello")
    agent = await staff(api.secret)
    await agent.send(type="subscribe", conversation_id=welcome["conversation_id"])
    await agent.receive("subscribed")
    await socket.send(type="typing")
    frame = await agent.receive("typing")
    assert (frame["role"], frame["conversation_id"]) == ("contact", welcome["conversation_id"])
    await agent.send(type="typing", conversation_id=welcome["conversation_id"])
    assert (await socket.receive("typing"))["role"] == "agent"
    assert [f for f in socket.frames if f["type"] == "typing" and f["role"] == "contact"] == []
    await asyncio.gather(socket.close(), agent.close())


async def test_resolving_is_told_as_a_status(tenant: Any, inbox: Any) -> None:
    socket, welcome = await visitor(inbox)
    await say(socket, "hello")
    await call(
        conversation_update,
        tenant_id=tenant.id,
        conversation_id=uuid.UUID(welcome["conversation_id"]),
        changes={"status": "resolved"},
        actor="t",
    )
    await work()
    assert (await socket.receive("status"))["status"] == "resolved"
    await socket.close()
