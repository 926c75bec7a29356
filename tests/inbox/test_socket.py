"""The staff socket against contract.md: who gets in, what is shown, drafts, ids of others."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.test import Client

from apps.accounts.models import Membership
from apps.accounts.services import api_key_create, api_key_revoke, member_create
from apps.assistant.models import Reply
from apps.conversations.models import Draft
from apps.conversations.services import (
    conversation_create,
    conversation_update,
    draft_create,
    draft_finish,
    message_post,
)
from apps.core.tenancy import tenant_scope
from apps.inbox.consumers import MAX_SUBSCRIPTIONS, StaffConsumer
from apps.knowledge.services import source_create_from_text
from tests import fakes
from tests.sockets import OWN, Socket, actions_of, call, say, staff, visitor, work

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = "Pallets leave the yard every Tuesday and Friday before noon. Stone tiles travel on pallets."


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels())


def _cookie(user: Any) -> list[tuple[bytes, bytes]]:
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(user)
    value = client.cookies[settings.SESSION_COOKIE_NAME].value
    return [(b"cookie", f"{settings.SESSION_COOKIE_NAME}={value}".encode())]


def _talk(tenant: Any, text: str = "When do pallets leave the yard?") -> str:
    made = conversation_create(tenant_id=tenant.id, contact={"name": "Ada"})
    message_post(tenant_id=tenant.id, conversation_id=made.id, role="contact", text=text)
    return str(made.id)


async def _session(user: Any, origin: str | None = OWN) -> Socket:
    headers = await call(lambda: _cookie(user))
    return await Socket("/ws/inbox", origin=origin, headers=headers).open()


# -- who gets in -----------------------------------------------------------------------------------------------------
async def test_a_signed_in_member_is_welcomed_at_once(tenant: Any, member: Any) -> None:
    socket = await _session(member)
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
    conversation_id = await call(_talk, tenant=tenant)
    codes = []
    for origin in FOREIGN_ORIGINS:
        socket = await _session(member, origin)
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
    conversation_id = await call(_talk, tenant=tenant)
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
    socket = await _session(member)
    await socket.receive("welcome")
    await call(lambda: Membership.objects.all().delete())
    assert await socket.closed() == 4401


async def test_a_disabled_user_loses_the_socket(tenant: Any, member: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.inbox.consumers.RECHECK_S", 0.1)
    socket = await _session(member)
    await socket.receive("welcome")
    member.is_active = False
    await call(member.save)
    assert await socket.closed() == 4401


async def test_an_analyst_reads_and_does_not_write(tenant: Any, inbox: Any) -> None:
    user = await call(
        member_create, tenant_id=tenant.id, email="analyst@a.example", name="An", role="analyst", password=None
    )
    conversation_id = await call(_talk, tenant=tenant)
    socket = await _session(user)
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
    conversation_id = await call(_talk, tenant=tenant)
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
    conversation_id = await call(_talk, tenant=tenant)
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
    conversation_id = await call(_talk, tenant=tenant)
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
    conversation_id = await call(_talk, tenant=tenant)
    await work()
    row = (await socket.receive("conversation"))["conversation"]
    assert (row["id"], row["contact"]["name"]) == (conversation_id, "Ada")
    await socket.close()


async def test_after_unsubscribing_nothing_comes(tenant: Any, inbox: Any, api: Any) -> None:
    conversation_id = await call(_talk, tenant=tenant)
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
    ids = await call(lambda: [_talk(tenant) for _ in range(MAX_SUBSCRIPTIONS + 1)])
    socket = await staff(api.secret)
    for conversation_id in ids:
        await socket.send(type="subscribe", conversation_id=conversation_id)
    assert (await socket.receive("error", timeout_s=20))["code"] == "subscriptions_full"
    await socket.close()


async def test_presence_is_told_to_colleagues(tenant: Any, member: Any, api: Any) -> None:
    mine, theirs = await _session(member), await staff(api.secret)
    await theirs.send(type="subscribe", queue=True)
    await theirs.receive("subscribed")
    await mine.receive("welcome")
    await mine.send(type="presence", status="away")
    frame = await theirs.receive("presence")
    assert (frame["user_id"], frame["status"]) == (str(member.id), "away")
    await asyncio.gather(mine.close(), theirs.close())


async def test_seen_moves_the_mark(tenant: Any, inbox: Any, api: Any) -> None:
    conversation_id = await call(_talk, tenant=tenant)
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


# -- drafts ----------------------------------------------------------------------------------------------------------
async def _drafted(socket: Socket, conversation_id: str, **extra: Any) -> dict[str, Any]:
    """Ask for a draft and have it written; returns its end."""
    await socket.send(type="draft.request", conversation_id=conversation_id, **extra)
    await socket.receive("draft.start")
    await work()
    return await socket.receive("draft.end", timeout_s=10)


async def _draft_ready(tenant: Any, member: Any) -> tuple[Socket, str, dict[str, Any]]:
    await call(source_create_from_text, tenant_id=tenant.id, title="Shipping", text=TEXT)
    await work()
    conversation_id = await call(_talk, tenant=tenant)
    await call(
        conversation_update,
        tenant_id=tenant.id,
        conversation_id=uuid.UUID(conversation_id),
        changes={"assignee_id": str(member.id)},
        actor="t",
    )
    socket = await _session(member)
    await socket.receive("welcome")
    return socket, conversation_id, await _drafted(socket, conversation_id)


def _draft_row(tenant: Any, draft_id: str) -> Draft:
    with tenant_scope(tenant.id):
        return Draft.objects.get(id=draft_id)


async def test_a_draft_streams_word_by_word_with_verdicts(tenant: Any, inbox: Any, member: Any) -> None:
    socket, conversation_id, end = await _draft_ready(tenant, member)
    deltas = [frame for frame in socket.frames if frame["type"] == "draft.delta"]
    marks = [frame for frame in socket.frames if frame["type"] == "draft.mark"]
    assert end["status"] == "done"
    assert "".join(delta["text"] for delta in deltas).strip() == end["text"]
    assert {frame["conversation_id"] for frame in [*deltas, *marks, end]} == {conversation_id}
    assert [mark["supported"] for mark in marks] == [mark["supported"] for mark in end["marks"]] != []
    await socket.close()


@pytest.mark.parametrize(
    ("kind", "text", "status"), [("draft.accept", None, "accepted"), ("draft.edit", "Mine.", "edited")]
)
async def test_a_draft_that_is_sent_is_recorded(
    tenant: Any, inbox: Any, member: Any, kind: str, text: str | None, status: str
) -> None:
    socket, _, end = await _draft_ready(tenant, member)
    await socket.send(type=kind, draft_id=end["draft_id"], text=text)
    decided = await socket.receive("draft.decided")
    row = await call(_draft_row, tenant=tenant, draft_id=end["draft_id"])
    assert decided["message"]["text"] == row.final_text == (text or end["text"])
    assert (row.status, str(row.message_id)) == (status, decided["message"]["id"])
    assert decided["message"]["author"] == {"id": str(member.id), "name": "Owner"}
    await socket.close()


async def test_a_rejected_draft_is_recorded_and_not_sent(tenant: Any, inbox: Any, member: Any) -> None:
    socket, _, end = await _draft_ready(tenant, member)
    await socket.send(type="draft.reject", draft_id=end["draft_id"])
    decided = await socket.receive("draft.decided")
    row = await call(_draft_row, tenant=tenant, draft_id=end["draft_id"])
    assert ("message" in decided, row.status, row.message_id) == (False, "rejected", None)
    await socket.close()


async def test_a_cancelled_draft_ends_as_cancelled(tenant: Any, inbox: Any, api: Any, models: fakes.FakeModels) -> None:
    models.before_generate = lambda: time.sleep(0.3)
    conversation_id = await call(_talk, tenant=tenant)
    socket = await staff(api.secret)
    await socket.send(type="draft.request", conversation_id=conversation_id)
    start = await socket.receive("draft.start")
    await socket.send(type="draft.cancel", draft_id=start["draft_id"])
    await socket.quiet(0.1)
    await work()
    end = await socket.receive("draft.end")
    assert (end["status"], end["draft_id"]) == ("cancelled", start["draft_id"])
    await socket.close()


async def test_a_key_does_not_decide_drafts(tenant: Any, inbox: Any, api: Any) -> None:
    conversation_id = await call(_talk, tenant=tenant)
    socket = await staff(api.secret)
    end = await _drafted(socket, conversation_id)
    await socket.send(type="draft.accept", draft_id=end["draft_id"])
    assert (await socket.receive("error"))["code"] == "member_required"
    await socket.close()


# -- ids of others (E1) ----------------------------------------------------------------------------------------------
def test_every_action_is_known_here() -> None:
    assert actions_of(StaffConsumer) == set(ID_FRAMES) | {"hello", "presence"}


ID_FRAMES: dict[str, dict[str, Any]] = {
    "subscribe": {"conversation_id": "conversation"},
    "unsubscribe": {"conversation_id": "conversation"},
    "reply.resume": {"conversation_id": "own", "reply_id": "reply", "offset": 0},
    "seen": {"conversation_id": "conversation", "seq": 1},
    "typing": {"conversation_id": "conversation"},
    "draft.request": {"conversation_id": "conversation"},
    "draft.cancel": {"draft_id": "draft"},
    "draft.accept": {"draft_id": "draft"},
    "draft.edit": {"draft_id": "draft", "text": "x"},
    "draft.reject": {"draft_id": "draft"},
}


def _foreign(tenant: Any) -> dict[str, str]:
    conversation_id = _talk(tenant, "cnry-B")
    where = {"tenant_id": tenant.id, "conversation_id": uuid.UUID(conversation_id)}
    draft = draft_create(**where, user_id=None)
    draft_finish(tenant_id=tenant.id, draft_id=draft.id, status="ready", text="cnry-B")
    with tenant_scope(tenant.id):
        reply = Reply.objects.create(
            conversation_id=conversation_id, status="running", covers_from_seq=1, covers_to_seq=1
        )
    return {"conversation": conversation_id, "draft": str(draft.id), "reply": str(reply.id)}


async def _answer_to(socket: Socket, kind: str, ids: dict[str, str]) -> list[dict[str, Any]]:
    """What the socket says to a frame, its own ids taken out of the echo."""
    frame = {
        name: ids.get(value, value) if isinstance(value, str) else value for name, value in ID_FRAMES[kind].items()
    }
    await socket.send(type=kind, **frame)
    echoed = set(ids.values())
    return [
        {name: value for name, value in answer.items() if value not in echoed} for answer in await socket.quiet(0.25)
    ]


@pytest.mark.parametrize("kind", sorted(ID_FRAMES))
async def test_a_foreign_id_looks_missing(
    tenant: Any, inbox: Any, member: Any, other_tenant: Any, other_inbox: Any, kind: str
) -> None:
    foreign = await call(_foreign, tenant=other_tenant)
    own = await call(_talk, tenant=tenant)
    socket = await _session(member)
    await socket.receive("welcome")
    await socket.send(type="subscribe", conversation_id=own)
    await socket.receive("subscribed")
    random = {name: str(uuid.uuid4()) for name in foreign}
    before = await call(lambda: _state(other_tenant))
    answers = [await _answer_to(socket, kind, {**ids, "own": own}) for ids in (foreign, random)]
    assert answers[0] == answers[1]
    assert (answers[0] == []) == (kind == "unsubscribe")
    assert "cnry-B" not in str(socket.frames)
    assert await call(lambda: _state(other_tenant)) == before
    await socket.close()


def _state(tenant: Any) -> Any:
    from tests.matrix.rows import rows_of

    return rows_of(tenant.id)


async def test_a_running_reply_of_ones_own_is_resumed(tenant: Any, inbox: Any, api: Any) -> None:
    """The control of the test above."""
    own = await call(_foreign, tenant=tenant)
    socket = await staff(api.secret)
    await socket.send(type="subscribe", conversation_id=own["conversation"])
    await socket.receive("reply.start")
    await socket.send(type="reply.resume", conversation_id=own["conversation"], reply_id=own["reply"], offset=0)
    assert [frame for frame in await socket.quiet(0.3) if frame["type"] == "error"] == []
    await socket.close()


async def test_a_frame_that_breaks_our_code_closes_with_1011(
    tenant: Any, inbox: Any, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: StaffConsumer, frame: dict[str, Any]) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(StaffConsumer, "_presence", broken)
    socket = await staff(api.secret)
    await socket.send(type="presence", status="away")
    assert await socket.closed() == 1011
