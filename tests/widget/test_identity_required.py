"""F2t: an inbox that admits proven identities only has no side door."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from apps.conversations.models import Contact, Conversation, Message
from apps.conversations.services import inbox_update
from apps.core.tenancy import tenant_scope
from apps.widget.consumers import VisitorConsumer
from tests import fakes
from tests.conversations.proofs import hash_proof, token_proof
from tests.sockets import Closed, Socket, actions_of, call, say, visitor
from tests.widget.visits import agent_say, rows_of

pytestmark = pytest.mark.django_db(transaction=True)
EVERY_FRAME: dict[str, dict[str, Any]] = {
    "message": {"text": "let me in"},
    "handoff.request": {},
    "typing": {},
    "rating": {"value": 1},
    "csat": {"value": 5},
    "reply.resume": {"reply_id": str(uuid.uuid4()), "offset": 0},
}


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels())


def _close(inbox: Any) -> Any:
    """Only proven identities from now on."""
    return inbox_update(tenant_id=inbox.tenant_id, inbox_id=inbox.id, changes={"identity_required": True}, actor="test")


@pytest.fixture
def closed(inbox: Any) -> Any:
    return _close(inbox)


async def _refused(*frames: dict[str, Any]) -> tuple[int, list[tuple[str, str]]]:
    """Send frames one after another; the close code and every frame that came, by type and code."""
    socket = await Socket("/ws/widget").open()
    for frame in frames:
        await socket.send(**frame)
    code = await socket.closed()
    return code, [(frame["type"], frame.get("code", "")) for frame in socket.frames]


def _hello(inbox: Any, **more: Any) -> dict[str, Any]:
    return {"type": "hello", "widget_token": inbox.widget_token, **more}


REFUSED = (4401, [("error", "identity_required")])


async def test_nobody_comes_in_without_a_proof(tenant: Any, closed: Any) -> None:
    ways: list[dict[str, Any]] = [
        {},
        {"identity": None},
        {"visitor_token": "x"},
        {"conversation_id": str(uuid.uuid4())},
    ]
    ways += [{"attributes": {"id": "user-7"}}, {"identity": None, "visitor_token": None, "after_seq": 1}]
    assert [await _refused(_hello(closed, **way)) for way in ways] == [REFUSED] * len(ways)
    assert await rows_of(tenant) == (0, 0)


async def test_a_wrong_proof_is_no_proof(tenant: Any, closed: Any, other_inbox: Any) -> None:
    wrong = await call(lambda: [hash_proof(other_inbox, "user-7"), token_proof(other_inbox), {"id": "user-7"}, {}, []])
    wrong += await call(lambda: [token_proof(closed, exp=1), {"token": None}])
    found = [await _refused(_hello(closed, identity=identity)) for identity in wrong]
    assert {code for code, _ in found} == {4401}
    assert {frames[0][1] for _, frames in found} == {"identity_invalid", "identity_expired"}
    assert await rows_of(tenant) == (0, 0)


@pytest.mark.parametrize("kind", ["token", "hash"])
async def test_a_proven_visitor_comes_in(tenant: Any, closed: Any, kind: str) -> None:
    proof = (
        await call(token_proof, inbox=closed) if kind == "token" else await call(lambda: hash_proof(closed, "user-7"))
    )
    socket, _ = await visitor(closed, identity=proof)
    assert (await say(socket, "hello"))["seq"] == 1
    await socket.close()


def test_every_frame_is_tried_here() -> None:
    assert set(EVERY_FRAME) == actions_of(VisitorConsumer) - {"hello"}


@pytest.mark.parametrize("kind", EVERY_FRAME)
async def test_a_socket_of_before_does_nothing_more(tenant: Any, inbox: Any, kind: str) -> None:
    """It was open when the inbox came to admit proven identities only."""
    socket, _ = await visitor(inbox)
    ack = await say(socket, "before")
    before = await rows_of(tenant)
    await call(_close, inbox=inbox)
    ids = {"client_id": str(uuid.uuid4()), "message_id": ack["message_id"]}
    await socket.send(type=kind, **{**ids, **EVERY_FRAME[kind]})
    assert await socket.closed() == 4401
    assert socket.frames[-1]["code"] == "identity_required"
    assert await rows_of(tenant) == before


async def test_a_socket_of_before_hears_nothing_more(tenant: Any, inbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.conversations.services.watching.POLL_S", 0.2)
    socket, welcome = await visitor(inbox)
    await say(socket, "before")
    await call(_close, inbox=inbox)
    assert await socket.closed() == 4401
    await agent_say(tenant, welcome, "secret")
    assert "secret" not in str(socket.frames)


async def test_the_token_of_an_anonymous_chat_opens_nothing(tenant: Any, inbox: Any) -> None:
    socket, welcome = await visitor(inbox)
    await say(socket, "anonymous secret")
    await socket.close()
    closed = await call(_close, inbox=inbox)
    again = {name: welcome[name] for name in ("visitor_token", "conversation_id")}
    assert await _refused(_hello(closed, **again)) == REFUSED
    # With a proof it opens a chat of the proven person, who has none yet: the anonymous one is nobody's.
    proven, back = await visitor(closed, **again, identity=await call(token_proof, inbox=closed))
    assert (back["messages"], back["conversation_id"] == welcome["conversation_id"]) == ([], False)
    assert back["visitor_token"] != welcome["visitor_token"]
    await proven.close()


async def test_the_token_of_a_proven_chat_is_no_proof(tenant: Any, closed: Any) -> None:
    socket, welcome = await visitor(closed, identity=await call(token_proof, inbox=closed))
    await say(socket, "mine")
    await socket.close()
    again = {name: welcome[name] for name in ("visitor_token", "conversation_id")}
    assert await _refused(_hello(closed, **again)) == REFUSED


async def test_a_second_hello_needs_the_proof_again(tenant: Any, closed: Any) -> None:
    proof = await call(token_proof, inbox=closed)
    code, frames = await _refused(
        _hello(closed, identity=proof), _hello(closed), {"type": "message", "client_id": str(uuid.uuid4()), "text": "x"}
    )
    assert (code, [kind for kind in frames if kind[0] != "welcome"]) in [
        (4401, [("error", "identity_required")]),
        (4401, []),
    ]
    assert await rows_of(tenant) == (0, 0)


async def test_identifying_later_is_no_frame(tenant: Any, closed: Any) -> None:
    proof = await call(token_proof, inbox=closed)
    assert (await _refused({"type": "identify", "identity": proof}, _hello(closed)))[0] == 4401
    assert await rows_of(tenant) == (0, 0)


async def test_an_address_merges_with_nobody(tenant: Any, closed: Any) -> None:
    """An anonymous contact of before has the address that the proven visitor has: their chats stay apart."""
    first, _ = await visitor(closed, identity=await call(token_proof, inbox=closed))
    await say(first, "Ada's secret")
    claimed = await call(lambda: hash_proof(closed, "user-8", email="ada@customer.example", name="Ada"))
    second, back = await visitor(closed, identity=claimed)
    assert back["messages"] == []
    await say(second, "hello")
    assert "Ada's secret" not in str(second.frames)
    assert await call(_people, tenant=tenant) == 2
    await asyncio.gather(first.close(), second.close())


def _people(tenant: Any) -> int:
    with tenant_scope(tenant.id):
        return Contact.objects.count()


async def test_a_conversation_is_not_read_by_another_proven_person(tenant: Any, closed: Any) -> None:
    first, welcome = await visitor(closed, identity=await call(token_proof, inbox=closed))
    await say(first, "Ada's secret")
    proof = await call(lambda: token_proof(closed, sub="user-8"))
    again = {name: welcome[name] for name in ("visitor_token", "conversation_id")}
    second, back = await visitor(closed, **again, identity=proof)
    assert (back["messages"], back["conversation_id"] == welcome["conversation_id"]) == ([], False)
    await asyncio.gather(first.close(), second.close())


async def test_anonymous_sockets_of_other_inboxes_are_no_way_in(tenant: Any, closed: Any, other_inbox: Any) -> None:
    socket, welcome = await visitor(other_inbox)
    await socket.send(**_hello(closed, visitor_token=welcome["visitor_token"]))
    with pytest.raises(Closed):
        await socket.receive("welcome")
    assert await rows_of(tenant) == (0, 0)


# -- REST instead of the socket --------------------------------------------------------------------------------------
def _post(api: Any, path: str, body: dict[str, Any]) -> tuple[int, str]:
    answer = api.post(path, body)
    return answer.status_code, answer.json().get("error", {}).get("code", "")


def test_rest_opens_no_conversation_without_a_proof(api: Any, closed: Any) -> None:
    contact: list[dict[str, Any]] = [{}, {"name": "Ada", "email": "ada@customer.example"}, {"identity": None}]
    found = [_post(api, "/conversations", {"inbox": str(closed.id), "contact": one}) for one in contact]
    found += [_post(api, "/conversations", {"contact": one}) for one in contact]
    assert found == [(403, "identity_required")] * 6
    wrong = {"inbox": str(closed.id), "contact": {"identity": {"token": "a.b.c"}}}
    assert _post(api, "/conversations", wrong) == (403, "identity_invalid")
    with tenant_scope(closed.tenant_id):
        assert (Conversation.objects.count(), Contact.objects.count()) == (0, 0)


def test_rest_opens_one_with_a_proof(api: Any, closed: Any) -> None:
    made = api.post("/conversations", {"contact": {"name": "Eve", "identity": token_proof(closed)}}).json()
    assert (made["contact"]["name"], made["contact"]["verified"], made["contact"]["name_verified"]) == (
        "Ada",
        True,
        True,
    )
    assert _post(api, f"/conversations/{made['id']}/messages", {"text": "hi", "role": "contact"})[0] == 201


def test_rest_writes_for_no_anonymous_contact_of_before(api: Any, inbox: Any) -> None:
    made = api.post("/conversations", {"contact": {"name": "Ada"}}).json()
    _close(inbox)
    where = f"/conversations/{made['id']}/messages"
    assert _post(api, where, {"text": "hi", "role": "contact"}) == (403, "identity_required")
    assert _post(api, where, {"text": "We moved.", "role": "agent"})[0] == 201
    with tenant_scope(inbox.tenant_id):
        assert list(Message.objects.values_list("role", flat=True)) == ["agent"]


def test_the_mode_is_a_field_of_the_inbox(api: Any, inbox: Any) -> None:
    changes = {"identity_required": True, "identity_issuer": "https://shop.example", "identity_audience": "support"}
    changed = api.patch(f"/conversations/inboxes/{inbox.id}", changes).json()
    listed = api.get("/conversations/inboxes").json()["items"][0]
    assert {name: changed[name] for name in changes} == {name: listed[name] for name in changes} == changes
