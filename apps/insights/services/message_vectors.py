"""Vectors of messages: one row for each space that counts."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Exists, OuterRef

from apps.conversations.selectors import messages_by_ids
from apps.conversations.types import MessageInfo
from apps.core.tenancy import current_tenant_id
from apps.inference.services import MESSAGES, VectorStore, space_serving, store_register, vectors_clear
from apps.insights.models import EMBEDDING_DIMENSIONS, MessageVector

# Kept from the app that it came from: jobs that wait, and processes of the version before, know it by this name.
BUILD = "analysis.vectors_build"
# The language that the encoder reads best: a message is embedded in its translation, where there is one.
READING = "en"


def vectors_keep(message: MessageInfo, vectors: Mapping[str, Any]) -> None:
    """Write a message's vector in each space, in the place of the one that is there, in the open scope."""
    for space, vector in vectors.items():
        MessageVector.objects.update_or_create(
            message_id=message.id,
            space=space,
            defaults={"conversation_id": message.conversation_id, "embedding": vector},
        )


def embedded_text(message: MessageInfo) -> str:
    """Return what is embedded of a message that was read: its translation, or its own words."""
    return message.annotation.translations.get(READING) or message.text


def _tenant() -> uuid.UUID:
    tenant_id = current_tenant_id()
    assert tenant_id is not None  # noqa: S101  (a store is called inside a scope)
    return tenant_id


def _missing(space: str, limit: int) -> list[tuple[uuid.UUID, str]]:
    tenant_id = _tenant()
    there = MessageVector.objects.filter(
        message_id=OuterRef("message_id"), tenant_id=OuterRef("tenant_id"), space=space
    )
    serving = space_serving(tenant_id=tenant_id, holder=MESSAGES)
    rows = MessageVector.objects.filter(~Exists(there), space=serving).values_list("message_id", flat=True)[:limit]
    return [(message.id, embedded_text(message)) for message in messages_by_ids(tenant_id=tenant_id, ids=list(rows))]


def _write(space: str, ids: Sequence[uuid.UUID], vectors: Any) -> None:
    tenant_id = _tenant()
    # Locked: a message that is removed at this moment must not leave a row behind, nor fail the job.
    places = dict(
        MessageVector.objects.select_for_update(no_key=True)
        .filter(message_id__in=ids)
        .values_list("message_id", "conversation_id")
    )
    MessageVector.objects.bulk_create(
        [
            MessageVector(
                tenant_id=tenant_id, message_id=key, conversation_id=places[key], space=space, embedding=vector
            )
            for key, vector in zip(ids, vectors, strict=True)
            if key in places
        ],
        ignore_conflicts=True,
    )


STORE = store_register(
    VectorStore(
        holder=MESSAGES,
        kind=BUILD,
        dim=EMBEDDING_DIMENSIONS,
        missing=_missing,
        write=_write,
        done=lambda space: MessageVector.objects.filter(space=space).count(),
        total=lambda serving: MessageVector.objects.filter(space=serving).count(),
        clear=lambda kept, limit: vectors_clear("analysis_messagevector", kept, limit),
    )
)
