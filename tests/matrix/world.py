"""Two organisations that hold one of everything, each row of text marked with the canary of its owner."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from apps.accounts.services import api_key_create, invitation_create, member_create
from apps.assistant.models import Reply
from apps.batches.models import Batch
from apps.batches.services import batch_create_from_items
from apps.batches.services.chunks import Chunk, chunk_commit
from apps.batches.types import InputRow
from apps.conversations.services import (
    conversation_create,
    conversation_update,
    csat_set,
    draft_create,
    draft_finish,
    inbox_create,
    message_annotate,
    message_post,
    rating_set,
)
from apps.conversations.types import Annotation, Arrival, NewFile
from apps.core.clock import now
from apps.core.tenancy import tenant_scope
from apps.inference.services import MESSAGES, PASSAGES, default_space, spaces_hold
from apps.insights.models import MessageVector
from apps.jobs.services import job_enqueue
from apps.knowledge.chunking import ChunkDraft
from apps.knowledge.models import Source
from apps.knowledge.selectors import source_get
from apps.knowledge.services import passage_link, source_create_from_text
from apps.knowledge.services.write import PreparedDocument, source_replace
from apps.nlp.models import ClassifierExample
from apps.nlp.services.classifiers import classifier_create
from apps.tenants.services import organization_create
from apps.translation.services.documents import document_create
from apps.translation.services.glossary import glossary_set
from apps.translation.services.memory import memory_add, memory_list
from tests.fakes import vector_of

SUBJECT = "pallets leave the yard every Tuesday and Friday before noon"


@dataclass
class World:
    """One organisation. `ids` are objects by the name of the path parameter that takes them."""

    tenant_id: uuid.UUID
    canary: str
    key: str
    owner: Any
    inbox: Any
    ids: dict[str, str] = field(default_factory=dict)


def world_create(name: str) -> World:
    """Create an organisation through the services, with its canary in every text that they take."""
    canary = f"cnry-{name}-{secrets.token_hex(8)}"
    tenant_id = organization_create(name=f"{canary} {name}", slug=canary.lower()).id
    owner = member_create(
        tenant_id=tenant_id,
        email=f"{canary}@{name.lower()}.example",
        name=f"{canary} owner",
        role="owner",
        password="a long password",
    )
    key, secret = api_key_create(tenant_id=tenant_id, name=f"{canary} key")
    inbox = inbox_create(
        tenant_id=tenant_id,
        name=f"{canary} inbox",
        settings={
            "allowed_origins": [f"https://{canary.lower()}.example"],
            "greeting": canary,
            "suggested_questions": [canary],
        },
    )
    world = World(tenant_id, canary, secret, owner, inbox)
    agent = member_create(
        tenant_id=tenant_id,
        email=f"{canary}-agent@{name.lower()}.example",
        name=f"{canary} agent",
        role="agent",
        password=None,
    )
    # A key removes agents, never an owner.
    world.ids |= {"key_id": str(key.id), "user_id": str(agent.id)}
    email, person = f"{canary}-invited@{name.lower()}.example", f"{canary} invited"
    invited = invitation_create(tenant_id=tenant_id, email=email, name=person, role="agent", actor="test")
    world.ids["invitation_id"] = str(invited.id)
    _classifier(world)
    _conversation(world)
    _knowledge(world)
    _batch(world)
    _translation(world)
    with tenant_scope(tenant_id):
        job_enqueue(tenant_id=tenant_id, kind="knowledge.files_delete", payload={"names": [canary]})
    return world


def _translation(world: World) -> None:
    common: dict[str, Any] = {"tenant_id": world.tenant_id, "source": "en", "target": "pt"}
    entry = glossary_set(**common, term=f"{world.canary} {SUBJECT}"[:100], translation=world.canary)
    memory_add(**common, units=[(f"{world.canary} {SUBJECT}", world.canary)])
    file = SimpleUploadedFile(f"{world.canary}.txt", world.canary.encode())
    document = document_create(**common, file=file)
    (unit,), _ = memory_list(tenant_id=world.tenant_id)
    world.ids |= {"entry_id": entry.id, "unit_id": unit.id, "document_id": document.id}


def _batch(world: World) -> None:
    item = {"text": f"{world.canary} {SUBJECT}", "source": world.canary, "id": world.canary}
    made = batch_create_from_items(
        tenant_id=world.tenant_id, task="language", items=[item], name=f"{world.canary} batch"
    )
    world.ids["batch_id"] = str(made.id)
    row = InputRow(world.canary, world.canary, None, item["text"])
    with tenant_scope(world.tenant_id):
        batch = Batch.objects.get(id=made.id)
        batch.total = 1
        batch.save()
        chunk_commit(batch, Chunk(0, 0, [row], [{"language": "en", "confidence": 1.0}], [-1]))


def _classifier(world: World) -> None:
    examples = [
        {"text": f"{world.canary} {word} {number}", "label": f"{world.canary} {word}"[:60]}
        for word in ("yard", "ship")
        for number in range(2)
    ]
    made = classifier_create(
        tenant_id=world.tenant_id, name=f"{world.canary} classifier", examples=examples, actor="test"
    )
    world.ids["classifier_id"] = str(made.id)


def _conversation(world: World) -> None:
    tenant_id, canary = world.tenant_id, world.canary
    made = conversation_create(
        tenant_id=tenant_id,
        contact={"name": f"{canary} contact", "email": f"{canary}@contact.example"},
        external_id=f"{canary} conversation",
    )
    conversation_id = made.id
    post: dict[str, Any] = {"tenant_id": tenant_id, "conversation_id": conversation_id}
    file = NewFile(f"{canary}.txt", "text/plain", canary.encode())
    asked = message_post(
        **post, role="contact", text=f"{canary} When do {SUBJECT}?", arrival=Arrival(f"{canary} message", (file,))
    ).message
    found = Annotation("en", "neutral", 0.1, canary, {"pt": canary})
    message_annotate(tenant_id=tenant_id, message_id=asked.id, annotation=found)
    with tenant_scope(tenant_id):
        spaces_hold(MESSAGES, written=[default_space()])
        MessageVector.objects.create(
            message_id=asked.id,
            conversation_id=conversation_id,
            space=default_space(),
            embedding=vector_of(asked.text),
        )
    with tenant_scope(tenant_id):
        reply = Reply.objects.create(
            conversation_id=conversation_id, status="done", covers_from_seq=1, covers_to_seq=1, why={"query": canary}
        )
    said = message_post(
        **post, role="bot", text=f"{canary} {SUBJECT}", citations=[{"quote": canary}], reply_id=reply.id
    )
    with tenant_scope(tenant_id):
        Reply.objects.filter(id=reply.id).update(message_id=said.message.id, finished_at=now())
    message_post(**post, role="agent", text=f"{canary} note", private=True, author_id=world.owner.id)
    rating_set(**post, message_id=said.message.id, value=1, comment=canary)
    csat_set(**post, value=5, comment=canary)
    conversation_update(**post, changes={"labels": [canary], "subject": canary}, actor="test")
    draft = draft_create(**post, user_id=world.owner.id, instruction=canary)
    draft_finish(tenant_id=tenant_id, draft_id=draft.id, status="ready", text=canary, citations=[{"quote": canary}])
    world.ids |= {
        "conversation_id": str(conversation_id),
        "message_id": str(said.message.id),
        "attachment_id": str(asked.attachments[0].id),
        "contact_id": str(made.contact.id),
        "reply_id": str(reply.id),
        "draft_id": str(draft.id),
        "assignee_id": str(world.owner.id),
        "inbox": str(world.inbox.id),
        "inbox_id": str(world.inbox.id),
    }


def _knowledge(world: World) -> None:
    tenant_id, canary = world.tenant_id, world.canary
    made = source_create_from_text(
        tenant_id=tenant_id, title=f"{canary} title", text=f"{canary} {SUBJECT}", collection=canary.lower()
    )
    draft = ChunkDraft(f"{canary} {SUBJECT}.", f"{canary} heading", canary, f"{canary} {SUBJECT}")
    document = PreparedDocument(f"{canary}.md", "", f"{canary} title", "markdown", (), (draft,), (canary,))
    with tenant_scope(tenant_id):
        source = Source.objects.get(id=made.id)
        spaces_hold(PASSAGES, written=[default_space()])
        source_replace(source, [document], [default_space()], {(default_space(), canary): vector_of(draft.text)})
        source.status = "ready"
        source.save()
        chunk_id = source.documents.get().chunks.get().id
    assert source_get(tenant_id=tenant_id, source_id=made.id).chunks == 1
    world.ids |= {"source_id": str(made.id), "passage": passage_link(tenant_id=tenant_id, chunk_id=chunk_id)}


def world_grow(world: World, number: int) -> None:
    """Make one more of everything that is listed, in the organisation and in the conversation of the world."""
    tenant_id, word = world.tenant_id, f"{number:02d}{uuid.uuid4().hex[:6]}"
    common: dict[str, Any] = {"tenant_id": tenant_id, "source": "en", "target": "pt"}
    email = f"{word}@list.example"
    member_create(tenant_id=tenant_id, email=email, name=word, role="agent", password=None)
    invitation_create(tenant_id=tenant_id, email=f"i{email}", name=word, role="agent", actor="test")
    api_key_create(tenant_id=tenant_id, name=word)
    inbox_create(tenant_id=tenant_id, name=word)
    glossary_set(**common, term=f"{word} {SUBJECT}", translation=word)
    memory_add(**common, units=[(f"{word} {SUBJECT}", word)])
    document_create(**common, file=SimpleUploadedFile(f"{word}.txt", word.encode()))
    batch_create_from_items(tenant_id=tenant_id, task="language", items=[word], name=word)
    source_create_from_text(tenant_id=tenant_id, title=word, text=SUBJECT, collection=word)
    examples = [{"text": f"{word} {label} {n}", "label": label} for label in ("yard", "ship") for n in range(2)]
    classifier_create(tenant_id=tenant_id, name=word, examples=examples, actor="test")
    with tenant_scope(tenant_id):  # of one that is being trained, which nobody can teach meanwhile
        known = {"classifier_id": world.ids["classifier_id"], "tenant_id": tenant_id}
        ClassifierExample.objects.create(**known, text=word, label="yard", digest=word)
    talk = conversation_create(tenant_id=tenant_id, contact={"name": word}).id
    conversation_update(tenant_id=tenant_id, conversation_id=talk, changes={"labels": [word]}, actor="test")
    for conversation_id in (talk, uuid.UUID(world.ids["conversation_id"])):
        post: dict[str, Any] = {"tenant_id": tenant_id, "conversation_id": conversation_id, "text": f"{word} {SUBJECT}"}
        asked = message_post(**post, role="contact").message
        message_annotate(
            tenant_id=tenant_id, message_id=asked.id, annotation=Annotation("en", "neutral", 0.1, word, {})
        )
        message_post(**post, role="agent", author_id=world.owner.id)
