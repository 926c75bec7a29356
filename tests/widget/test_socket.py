"""The visitor socket against contract.md: hello, messages, replies, what is refused."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import uuid
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from apps.assistant.models import Reply
from apps.conversations.models import Conversation, Inbox, Message
from apps.conversations.services import (
    conversation_create,
    conversation_handoff,
    conversation_update,
    message_post,
    rating_set,
)
from apps.core import sockets as core_sockets
from apps.core.tenancy import tenant_scope
from apps.inference.services import StreamWriter
from apps.knowledge.services import source_create_from_text
from apps.tenants.services import organization_settings_update
from apps.widget.consumers import VisitorConsumer
from tests import fakes
from tests.sockets import OWN, Socket, actions_of, call, say, staff, visitor, work

pytestmark = pytest.mark.django_db(transaction=True)

MESSAGE_KEYS = {"id", "seq", "role", "text", "citations", "created_at"}
EMOJI = "Zwei Tage 🙂 dauert es. Danach 👩‍👩‍👧 ist alles da. 好的。"


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels())


def _counts(tenant: Any) -> tuple[int, int]:
    with tenant_scope(tenant.id):
        return Conversation.objects.count(), Message.objects.count()


async def _rows(tenant: Any) -> tuple[int, int]:
    return await sync_to_async(_counts, thread_sensitive=False)(tenant)


async def _agent(tenant: Any, welcome: dict[str, Any], text: str, **extra: Any) -> Any:
    where = {"tenant_id": tenant.id, "conversation_id": uuid.UUID(welcome["conversation_id"])}
    return await call(message_post, **where, role="agent", text=text, **extra)


# -- hello -----------------------------------------------------------------------------------------------------------
async def test_a_welcome_has_what_the_contract_names(tenant: Any, inbox: Any) -> None:
    socket, welcome = await visitor(inbox)
    assert set(welcome) == {"type", "visitor_token", "conversation_id", "seq", "messages", "has_more"}
    assert (welcome["seq"], welcome["messages"], welcome["has_more"]) == (0, [], False)
    await socket.close()


async def test_a_page_view_writes_nothing(tenant: Any, inbox: Any) -> None:
    socket, _ = await visitor(inbox)
    assert await _rows(tenant) == (0, 0)
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
    assert await _rows(tenant) == (0, 0)


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
    assert await _rows(tenant) == (1, 1)
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
    await _agent(tenant, welcome, "secret note", private=True)
    await _agent(tenant, welcome, "public")
    await work()
    frame = await socket.receive("message")
    assert (frame["seq"], frame["prev_seq"], frame["message"]["text"]) == (3, 1, "public")
    assert "secret" not in str(socket.frames)
    await socket.close()


async def test_without_a_hint_the_poll_finds_the_message(
    tenant: Any, inbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.widget.consumers.POLL_S", 0.1)
    socket, welcome = await visitor(inbox)
    await say(socket, "hello")
    await _agent(tenant, welcome, "no dispatcher runs")
    assert (await socket.receive("message"))["message"]["text"] == "no dispatcher runs"
    await socket.close()


async def test_a_reconnect_gives_what_was_missed_once(tenant: Any, inbox: Any) -> None:
    first, welcome = await visitor(inbox)
    await say(first, "one")
    await first.close()
    await _agent(tenant, welcome, "two")
    await _agent(tenant, welcome, "three")
    again = {"visitor_token": welcome["visitor_token"], "conversation_id": welcome["conversation_id"]}
    second, back = await visitor(inbox, **again, after_seq=1)
    assert [m["seq"] for m in back["messages"]] == [2, 3]
    assert (back["seq"], back["status"], back["handler"]) == (3, "open", "person")
    await second.close()


async def test_more_than_a_page_follows_as_messages_in_order(tenant: Any, inbox: Any) -> None:
    first, welcome = await visitor(inbox)
    await say(first, "one")
    await first.close()
    await call(lambda: [async_to_sync(_agent)(tenant, welcome, str(n)) for n in range(104)])
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


async def test_a_flood_is_refused_without_losing_the_socket(tenant: Any, inbox: Any) -> None:
    socket, _ = await visitor(inbox)
    for number in range(60):
        await socket.send(type="message", client_id=str(uuid.uuid4()), text=str(number))
    answers = [await socket.receive("ack", "error", timeout_s=20) for _ in range(60)]
    refused = [answer for answer in answers if answer["type"] == "error"]
    assert {answer["code"] for answer in refused} == {"rate_limited"}
    assert [answer for answer in refused if answer["retry_after_s"] < 1] == []
    assert len(answers) - len(refused) >= 30
    await socket.close()


# -- replies ---------------------------------------------------------------------------------------------------------
def _open_reply(tenant: Any, conversation_id: str) -> uuid.UUID:
    with tenant_scope(tenant.id):
        return Reply.objects.create(
            conversation_id=conversation_id, status="running", covers_from_seq=1, covers_to_seq=1
        ).id


def _finish_reply(tenant: Any, conversation_id: str, reply_id: uuid.UUID, text: str) -> None:
    where = {"tenant_id": tenant.id, "conversation_id": uuid.UUID(conversation_id)}
    with tenant_scope(tenant.id):
        posted = message_post(**where, role="bot", text=text, reply_id=reply_id, decision="answer")
        Reply.objects.filter(id=reply_id).update(status="done", message_id=posted.message.id)
    StreamWriter(tenant.id, str(reply_id)).end("done")


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
    reply_id = await call(_open_reply, **where)
    writer = StreamWriter(tenant.id, str(reply_id))
    await call(lambda: [writer.append(EMOJI[:15]), writer.append(EMOJI[15:42]), writer.flush()])
    await first.close()
    again = {"visitor_token": welcome["visitor_token"], "conversation_id": welcome["conversation_id"], "after_seq": 1}
    second, _ = await visitor(inbox, **again)
    await second.receive("reply.start")
    await second.send(type="reply.resume", reply_id=str(reply_id), offset=offset)
    await second.receive("reply.delta")
    await call(lambda: [writer.append(EMOJI[42:]), writer.flush()])
    await call(_finish_reply, **where, reply_id=reply_id, text=EMOJI)
    end = await second.receive("reply.end")
    deltas = [frame for frame in second.frames if frame["type"] == "reply.delta"]
    await second.close()
    return deltas[0]["offset"], "".join(delta["text"] for delta in deltas), end["message"]["text"]


async def test_a_reply_without_a_resume_is_read_from_its_beginning(tenant: Any, inbox: Any) -> None:
    first, welcome = await visitor(inbox)
    await say(first, "hello")
    reply_id = await call(_open_reply, tenant=tenant, conversation_id=welcome["conversation_id"])
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
    monkeypatch.setattr("apps.widget.consumers.POLL_S", 0.2)
    socket, welcome = await visitor(inbox)
    await say(socket, "hello")
    reply_id = await call(_open_reply, tenant=tenant, conversation_id=welcome["conversation_id"])
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
    await call(_open_reply, tenant=tenant, conversation_id=welcome["conversation_id"])
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
    await _agent(tenant, welcome, "I am here")
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
    posted = await _agent(tenant, welcome, "hi")
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


# -- ids of others (E1) ----------------------------------------------------------------------------------------------
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
    reply_id = _open_reply(tenant, str(made.id))
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
