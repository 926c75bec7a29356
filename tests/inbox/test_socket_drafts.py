"""Drafts on the staff socket."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from apps.conversations.models import Draft
from apps.conversations.services import conversation_update
from apps.core.tenancy import tenant_scope
from apps.inference.services import StreamWriter
from apps.knowledge.services import source_create_from_text
from tests import fakes
from tests.inbox.sessions import session_open, talk_make
from tests.sockets import Socket, call, staff, work

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = "Pallets leave the yard every Tuesday and Friday before noon. Stone tiles travel on pallets."


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels())


async def _drafted(socket: Socket, conversation_id: str, **extra: Any) -> dict[str, Any]:
    """Ask for a draft and have it written; returns its end."""
    await socket.send(type="draft.request", conversation_id=conversation_id, **extra)
    await socket.receive("draft.start")
    await work()
    return await socket.receive("draft.end", timeout_s=10)


async def _draft_ready(tenant: Any, member: Any) -> tuple[Socket, str, dict[str, Any]]:
    await call(source_create_from_text, tenant_id=tenant.id, title="Shipping", text=TEXT)
    await work()
    conversation_id = await call(talk_make, tenant=tenant)
    await call(
        conversation_update,
        tenant_id=tenant.id,
        conversation_id=uuid.UUID(conversation_id),
        changes={"assignee_id": str(member.id)},
        actor="t",
    )
    socket = await session_open(member)
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


async def test_a_draft_that_is_tried_again_begins_afresh(tenant: Any, inbox: Any, api: Any) -> None:
    """The first writer died in the middle: its words must not stand before those of the second."""
    await call(source_create_from_text, tenant_id=tenant.id, title="Shipping", text=TEXT)
    await work()
    conversation_id = await call(talk_make, tenant=tenant)
    socket = await staff(api.secret)
    await socket.send(type="draft.request", conversation_id=conversation_id)
    draft_id = (await socket.receive("draft.start"))["draft_id"]
    died = StreamWriter(tenant.id, draft_id)
    await call(lambda: [died.append("Half a sentence that nob"), died.flush()])
    await socket.receive("draft.delta")
    await work()
    again = await socket.receive("draft.start")
    end = await socket.receive("draft.end", timeout_s=10)
    started = max(at for at, frame in enumerate(socket.frames) if frame["type"] == "draft.start")
    deltas = [frame for frame in socket.frames[started:] if frame["type"] == "draft.delta"]
    assert (again["draft_id"], deltas[0]["offset"], end["status"]) == (draft_id, 0, "done")
    assert "".join(delta["text"] for delta in deltas).strip() == end["text"]
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
    conversation_id = await call(talk_make, tenant=tenant)
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
    conversation_id = await call(talk_make, tenant=tenant)
    socket = await staff(api.secret)
    end = await _drafted(socket, conversation_id)
    await socket.send(type="draft.accept", draft_id=end["draft_id"])
    assert (await socket.receive("error"))["code"] == "member_required"
    await socket.close()
