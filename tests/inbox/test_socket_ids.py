"""Ids of others on the staff socket."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from apps.assistant.models import Reply
from apps.conversations.services import draft_create, draft_finish
from apps.core.tenancy import tenant_scope
from apps.inbox.consumers import StaffConsumer
from tests import fakes
from tests.inbox.sessions import session_open, talk_make
from tests.sockets import Socket, actions_of, call, staff

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels())


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
    conversation_id = talk_make(tenant, "cnry-B")
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
    own = await call(talk_make, tenant=tenant)
    socket = await session_open(member)
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
