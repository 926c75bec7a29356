"""Every handler of an event may run twice, in sequence and at once (B1): a killed dispatcher delivers again."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from apps.conversations.services import conversation_update, draft_create, message_post
from apps.core.tenancy import tenant_scope
from apps.events.models import Event
from apps.events.services import registry
from apps.events.types import EventRecord
from tests import fakes
from tests.at_once import at_once
from tests.matrix.rows import rows_of
from tests.matrix.world import World, world_create

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes.install(monkeypatch, fakes.FakeModels())
    monkeypatch.setattr("apps.jobs.services.enqueue.broker_hint", lambda *_: None)


def _asked(world: World) -> None:
    conversation_update(**_talk(world), changes={"handler": "bot", "status": "open"}, actor="test")
    message_post(**_talk(world), role="contact", text="When do pallets leave the yard?")


def _taken_over(world: World) -> None:
    conversation_update(**_talk(world), changes={"handler": "bot"}, actor="test")
    conversation_update(**_talk(world), changes={"handler": "person"}, actor="test")


def _ended(world: World) -> None:
    from apps.events.services import event_record

    with tenant_scope(world.tenant_id):
        data = {"reply_id": world.ids["reply_id"], "status": "failed", "code": "busy"}
        subject = uuid.UUID(world.ids["conversation_id"])
        event_record(type="reply.ended", subject_type="conversation", subject_id=subject, data=data)


def _draft(world: World) -> None:
    draft_create(**_talk(world), user_id=world.owner.id)


def _talk(world: World) -> dict[str, Any]:
    return {"tenant_id": world.tenant_id, "conversation_id": uuid.UUID(world.ids["conversation_id"])}


# Each: the type of its event, and what makes one.
EXAMPLES: dict[str, tuple[str, Callable[[World], None]]] = {
    "analysis.conversation_read": ("conversation.updated", _taken_over),
    "analysis.message_read": ("message.created", _asked),
    "assistant.conversation_follow": ("conversation.updated", _taken_over),
    "assistant.draft_start": ("draft.requested", _draft),
    "assistant.message_answer": ("message.created", _asked),
    "assistant.reply_end_tell": ("reply.ended", _ended),
}


def test_every_handler_has_an_example() -> None:
    assert {name for name in registry.names_known() if not name.startswith("test.")} == set(EXAMPLES)


def _counts(tenant_id: uuid.UUID) -> dict[str, int]:
    return {table: len(rows) for table, rows in rows_of(tenant_id).items()}


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_handler_that_runs_again_makes_nothing_more(name: str) -> None:
    event_type, make = EXAMPLES[name]
    world = world_create("A")
    make(world)
    with tenant_scope(world.tenant_id):
        row = Event.objects.filter(type=event_type).latest("created_at", "id")
        event = EventRecord(
            row.id, row.tenant_id, row.type, row.subject_type, row.subject_id, row.data, row.actor, row.created_at
        )
    handle = registry.handler_named(event_type, name)
    assert handle is not None

    def run() -> None:
        with tenant_scope(world.tenant_id):
            handle(event)

    run()
    once = _counts(world.tenant_id)
    run()
    assert at_once([run, run, run]) == [None, None, None]
    assert _counts(world.tenant_id) == once
