"""A conversation or a person that is deleted leaves nothing behind, and nothing of others goes along."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.storage import default_storage

from apps.conversations.models import Contact, Conversation
from apps.conversations.services import contact_delete, conversation_create, conversation_delete, deletion, message_post
from apps.core.errors import NotFound
from apps.core.tenancy import tenant_scope
from tests import fakes
from tests.matrix.rows import rows_of
from tests.matrix.world import World, world_create

pytestmark = pytest.mark.django_db(transaction=True)
# What of a conversation's own is kept: that it happened, and who deleted it.
KEPT = frozenset(
    {"events_event", "events_outboxentry", "events_delivery", "events_auditentry", "jobs_job", "jobs_jobdispatch"}
)

# Some of what a conversation has rows in.
OWN = {"conversations_message", "conversations_draft", "conversations_attachment"}
OWN |= {"assistant_reply", "judgements_judgement", "analysis_messagevector"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    fakes.install(monkeypatch, fakes.FakeModels())
    return world_create("A")


@pytest.fixture
def other(world: World) -> World:
    return world_create("B")


def _of(world: World, conversation_id: str) -> dict[str, int]:
    """Rows that name a conversation, or anything of it, by table."""
    found = rows_of(world.tenant_id)
    ids = {conversation_id}
    for table in ("conversations_message", "conversations_draft", "assistant_reply"):
        ids |= {row["id"] for row in found[table] if row["conversation_id"] == conversation_id}
    counts = {
        table: sum(bool(ids & set(row.values())) for row in rows) for table, rows in found.items() if table not in KEPT
    }
    return {table: count for table, count in counts.items() if count}


def _files(world: World) -> list[str]:
    return [name for name in default_storage.listdir(str(world.tenant_id))[1] if name.startswith("attachment-")]


def test_a_conversation_goes_with_all_that_is_its_own(world: World, other: World) -> None:
    conversation_id = world.ids["conversation_id"]
    before, foreign, files = _of(world, conversation_id), rows_of(other.tenant_id), _files(world)
    with tenant_scope(world.tenant_id):
        found = Conversation.objects.get(id=conversation_id)
    conversation_delete(tenant_id=world.tenant_id, conversation_id=found.id, actor="test")
    assert set(before) >= OWN
    assert (len(files), _files(world)) == (1, [])
    assert _of(world, conversation_id) == {}
    assert rows_of(other.tenant_id) == foreign
    with tenant_scope(world.tenant_id):
        assert Contact.objects.filter(id=found.contact_id).exists()


def test_no_text_of_a_conversation_stays_in_the_log_of_events(world: World) -> None:
    def texts() -> list[str]:
        return [row["data"] for row in rows_of(world.tenant_id)["events_event"] if world.canary in row["data"]]

    with tenant_scope(world.tenant_id):
        talk = Conversation.objects.get(id=world.ids["conversation_id"])
    before = texts()
    conversation_delete(tenant_id=world.tenant_id, conversation_id=talk.id, actor="test")
    assert len(before) == 1
    assert texts() == []


def test_a_person_goes_with_all_conversations(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletion, "AT_ONCE", 2)
    contact_id = world.ids["contact_id"]
    with tenant_scope(world.tenant_id):
        person = Contact.objects.get(id=contact_id)
        inbox_id = Conversation.objects.get(contact_id=person.id).inbox_id
        for _ in range(4):
            Conversation.objects.create(contact_id=person.id, inbox_id=inbox_id, updated_at=person.created_at)
    kept = conversation_create(tenant_id=world.tenant_id, contact={"name": "Somebody else"})
    message_post(tenant_id=world.tenant_id, conversation_id=kept.id, role="contact", text="stays")
    contact_delete(tenant_id=world.tenant_id, contact_id=person.id, actor="test")
    rows = {table: found for table, found in rows_of(world.tenant_id).items() if table not in KEPT}
    assert [table for table, found in rows.items() for row in found if contact_id in row.values()] == []
    assert [row["id"] for row in rows["conversations_conversation"]] == [str(kept.id)]
    assert _files(world) == []


def test_what_is_missing_or_foreign_is_not_deleted(world: World, other: World) -> None:
    with tenant_scope(other.tenant_id):
        talk = Conversation.objects.get(id=other.ids["conversation_id"])
    before = rows_of(other.tenant_id)
    with pytest.raises(NotFound):
        conversation_delete(tenant_id=world.tenant_id, conversation_id=talk.id, actor="test")
    with pytest.raises(NotFound):
        contact_delete(tenant_id=world.tenant_id, contact_id=talk.contact_id, actor="test")
    assert rows_of(other.tenant_id) == before


def test_a_deletion_that_does_not_come_to_pass_keeps_the_files(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(deletion, "audit_record", fail)
    with tenant_scope(world.tenant_id):
        talk = Conversation.objects.get(id=world.ids["conversation_id"])
    with pytest.raises(RuntimeError):
        conversation_delete(tenant_id=world.tenant_id, conversation_id=talk.id, actor="test")
    assert len(_files(world)) == 1
