"""The staff socket against contract.md: who gets in, what is shown."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from apps.accounts.models import Membership
from apps.accounts.services import api_key_create, api_key_revoke, member_create
from apps.conversations.services import message_post
from apps.inbox.consumers import MAX_SUBSCRIPTIONS, StaffConsumer
from apps.knowledge.services import source_create_from_text
from tests import fakes
from tests.inbox.sessions import session_open, talk_make
from tests.sockets import OWN, Socket, actions_of, call, say, staff, visitor, work

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = "Pallets leave the yard every Tuesday and Friday before noon. Stone tiles travel on pallets."


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels())


# -- who gets in -----------------------------------------------------------------------------------------------------
async def test_a_signed_in_member_is_welcomed_at_once(tenant: Any, member: Any) -> None:
    socket = await session_open(member)
    welcome = await socket.receive("welcome")
    assert (welcome["organization_id"], welcome["user_id"]) == (str(tenant.id), str(member.id))
    await socket.close()


FOREIGN_ORIGINS = [
    None,
    "null",
    "https://shop.example",
    "https://evil.example",
    OWN + ".evil.example",
    OWN + "/",
    OWN.upper(),
    OWN.replace("http:", "https:"),
    OWN.rsplit(":", 1)[0],
    OWN.replace("8899", "8898"),
]


async def test_a_session_from_another_origin_gets_nothing(tenant: Any, inbox: Any, member: Any) -> None:
    """Cross-site socket hijacking: the browser sends the cookie along, so the origin decides."""
    conversation_id = await call(talk_make, tenant=tenant)
    codes = []
    for origin in FOREIGN_ORIGINS:
        socket = await session_open(member, origin)
        assert await socket.quiet(0.1) == []
        await socket.send(type="subscribe", conversation_id=conversation_id)
        codes.append(await socket.closed())
    assert codes == [4401] * len(FOREIGN_ORIGINS)


async def test_a_key_opens_a_socket_from_anywhere(tenant: Any, api: Any) -> None:
    socket = await staff(api.secret)
    assert socket.frames[0]["organization_id"] == str(tenant.id)
    await socket.close()


async def _hello_with(secret: Any) -> int:
    socket = await Socket("/ws/inbox", origin=None).open()
    await socket.send(type="hello", api_key=secret)
    return await socket.closed()


async def test_a_wrong_key_ends_in_4401(tenant: Any, inbox: Any, api: Any) -> None:
    narrow = (await call(api_key_create, tenant_id=tenant.id, name="n", scopes=["knowledge:read"]))[1]
    wrong = ["", "nls_unknown", api.secret + "x", inbox.widget_token, None, 7, ["x"], "\ud800", "\x00", narrow]
    assert [await _hello_with(secret) for secret in wrong] == [4401] * len(wrong)


async def test_nothing_is_done_before_hello(tenant: Any, inbox: Any) -> None:
    conversation_id = await call(talk_make, tenant=tenant)
    codes = []
    for kind in [*sorted(actions_of(StaffConsumer) - {"hello"}), "nonsense"]:
        socket = await Socket("/ws/inbox").open()
        await socket.send(type=kind, conversation_id=conversation_id, queue=True)
        codes.append((await socket.closed(), len(socket.frames)))
    assert set(codes) == {(4401, 0)}


async def test_a_revoked_key_loses_its_socket(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.inbox.consumers.RECHECK_S", 0.1)
    key, secret = await call(api_key_create, tenant_id=tenant.id, name="short")
    socket = await staff(secret)
    await call(api_key_revoke, tenant_id=tenant.id, key_id=key.id, actor="t")
    assert await socket.closed() == 4401


async def test_a_removed_member_loses_the_socket(tenant: Any, member: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.inbox.consumers.RECHECK_S", 0.1)
    socket = await session_open(member)
    await socket.receive("welcome")
    await call(lambda: Membership.objects.all().delete())
    assert await socket.closed() == 4401


async def test_a_disabled_user_loses_the_socket(tenant: Any, member: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.inbox.consumers.RECHECK_S", 0.1)
    socket = await session_open(member)
    await socket.receive("welcome")
    member.is_active = False
    await call(member.save)
    assert await socket.closed() == 4401


async def test_an_analyst_reads_and_does_not_write(tenant: Any, inbox: Any) -> None:
    user = await call(
        member_create, tenant_id=tenant.id, email="analyst@a.example", name="An", role="analyst", password=None
    )
    conversation_id = await call(talk_make, tenant=tenant)
    socket = await session_open(user)
    await socket.receive("welcome")
    await socket.send(type="subscribe", conversation_id=conversation_id)
    await socket.receive("subscribed")
    codes = []
    for kind in ("typing", "draft.request", "draft.cancel", "draft.accept", "draft.edit", "draft.reject"):
        await socket.send(type=kind, conversation_id=conversation_id, draft_id=str(uuid.uuid4()))
        codes.append((await socket.receive("error"))["code"])
    assert codes == ["scope_missing"] * 6
    await socket.close()


# -- what is shown ---------------------------------------------------------------------------------------------------
async def test_a_conversation_shows_messages_and_notes(tenant: Any, inbox: Any, api: Any, member: Any) -> None:
    conversation_id = await call(talk_make, tenant=tenant)
    socket = await staff(api.secret)
    await socket.send(type="subscribe", conversation_id=conversation_id)
    subscribed = await socket.receive("subscribed")
    where = {"tenant_id": tenant.id, "conversation_id": uuid.UUID(conversation_id)}
    await call(message_post, **where, role="agent", text="a note", private=True, author_id=member.id)
    await work()
    frame = await socket.receive("message")
    assert (subscribed["conversation_id"], subscribed["seq"]) == (conversation_id, 1)
    assert (frame["conversation_id"], frame["seq"], frame["prev_seq"]) == (conversation_id, 2, 1)
    assert (frame["message"]["private"], frame["message"]["author"]["name"]) == (True, "Owner")
    await socket.close()


async def test_a_subscription_goes_on_from_a_seq(tenant: Any, inbox: Any, api: Any) -> None:
    conversation_id = await call(talk_make, tenant=tenant)
    where = {"tenant_id": tenant.id, "conversation_id": uuid.UUID(conversation_id)}
    for number in range(3):
        await call(message_post, **where, role="agent", text=str(number))
    socket = await staff(api.secret)
    await socket.send(type="subscribe", conversation_id=conversation_id, after_seq=2)
    frames = [await socket.receive("message") for _ in range(2)]
    assert [frame["seq"] for frame in frames] == [3, 4]
    await socket.close()


async def test_an_answer_streams_to_staff_with_its_conversation(tenant: Any, inbox: Any, api: Any) -> None:
    await call(source_create_from_text, tenant_id=tenant.id, title="Shipping", text=TEXT)
    await work()
    conversation_id = await call(talk_make, tenant=tenant)
    socket = await staff(api.secret)
    await socket.send(type="subscribe", conversation_id=conversation_id)
    await socket.receive("subscribed")
    await work()
    end = await socket.receive("reply.end", timeout_s=10)
    deltas = [frame for frame in socket.frames if frame["type"] == "reply.delta"]
    assert "".join(delta["text"] for delta in deltas) == end["message"]["text"]
    assert {frame["conversation_id"] for frame in [*deltas, end]} == {conversation_id}
    await socket.close()


async def test_the_queue_shows_rows_as_they_change(tenant: Any, inbox: Any, api: Any) -> None:
    socket = await staff(api.secret)
    await socket.send(type="subscribe", queue=True)
    await socket.receive("subscribed")
    conversation_id = await call(talk_make, tenant=tenant)
    await work()
    row = (await socket.receive("conversation"))["conversation"]
    assert (row["id"], row["contact"]["name"]) == (conversation_id, "Ada")
    await socket.close()


async def test_after_unsubscribing_nothing_comes(tenant: Any, inbox: Any, api: Any) -> None:
    conversation_id = await call(talk_make, tenant=tenant)
    await work()
    socket = await staff(api.secret)
    for kind in ("subscribe", "unsubscribe"):
        await socket.send(type=kind, conversation_id=conversation_id)
        await socket.send(type=kind, queue=True)
    await socket.quiet(0.3)
    where = {"tenant_id": tenant.id, "conversation_id": uuid.UUID(conversation_id)}
    await call(message_post, **where, role="agent", text="unheard")
    await work()
    assert await socket.quiet() == []
    await socket.close()


async def test_subscriptions_have_a_limit(tenant: Any, inbox: Any, api: Any) -> None:
    ids = await call(lambda: [talk_make(tenant) for _ in range(MAX_SUBSCRIPTIONS + 1)])
    socket = await staff(api.secret)
    for conversation_id in ids:
        await socket.send(type="subscribe", conversation_id=conversation_id)
    assert (await socket.receive("error", timeout_s=20))["code"] == "subscriptions_full"
    await socket.close()


async def test_seen_moves_the_mark(tenant: Any, inbox: Any, api: Any) -> None:
    conversation_id = await call(talk_make, tenant=tenant)
    socket = await staff(api.secret)
    await socket.send(type="seen", conversation_id=conversation_id, seq=1)
    await socket.quiet(0.3)
    unread = await sync_to_async(lambda: api.get(f"/conversations/{conversation_id}").json()["unread"])()
    assert unread == 0
    await socket.close()


async def test_other_organisations_hear_nothing(
    tenant: Any, inbox: Any, other_tenant: Any, other_inbox: Any, other_api: Any
) -> None:
    other = await staff(other_api.secret)
    await other.send(type="subscribe", queue=True)
    await other.receive("subscribed")
    visitor_socket, _ = await visitor(inbox)
    await say(visitor_socket, "cnry-A")
    await work()
    assert await other.quiet() == []
    await asyncio.gather(other.close(), visitor_socket.close())
