"""Vectors of passages: one row for each space that counts."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from django.db.models import Exists, OuterRef

from apps.core.ids import new_id
from apps.core.tenancy import tenant_scope
from apps.inference.services import PASSAGES, VectorStore, store_register, vectors_clear
from apps.knowledge.chunking import context_of
from apps.knowledge.models import EMBEDDING_DIMENSIONS, Chunk, ChunkVector

INSERT_BATCH = 500
BUILD = "knowledge.vectors_build"
Vectors = Mapping[tuple[str, str], np.ndarray]
"""Vectors by space and digest of what was embedded."""


def vectors_known(*, tenant_id: uuid.UUID, space: str, digests: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the vectors in `space` of texts that this organisation has embedded before, by digest."""
    if not digests:
        return {}
    with tenant_scope(tenant_id):
        rows = ChunkVector.objects.filter(space=space, embed_sha256__in=digests).order_by("embed_sha256")
        found = rows.distinct("embed_sha256").values_list("embed_sha256", "embedding")
        return {digest: np.asarray(vector) for digest, vector in found}


def vectors_write(chunks: Sequence[Chunk], spaces: Sequence[str], vectors: Vectors) -> None:
    """Write the vectors of passages in each of the spaces, in the open scope; known ones are passed over."""
    ChunkVector.objects.bulk_create(
        [_row(chunk, space, vectors[space, chunk.embed_sha256]) for chunk in chunks for space in spaces],
        batch_size=INSERT_BATCH,
        ignore_conflicts=True,
    )


def _row(chunk: Chunk, space: str, vector: Any) -> ChunkVector:
    return ChunkVector(
        id=new_id(),
        tenant_id=chunk.tenant_id,
        chunk_id=chunk.id,
        collection=chunk.collection,
        space=space,
        embed_sha256=chunk.embed_sha256,
        embedding=vector,
    )


def _missing(space: str, limit: int) -> list[tuple[uuid.UUID, str]]:
    there = ChunkVector.objects.filter(chunk_id=OuterRef("id"), tenant_id=OuterRef("tenant_id"), space=space)
    rows = Chunk.objects.filter(~Exists(there)).select_related("document")[:limit]
    return [(row.id, embedded_text(row)) for row in rows]


def embedded_text(chunk: Chunk) -> str:
    """Return what is embedded of a passage, as it was when the passage was made."""
    context = chunk.context
    if context is None:
        context = context_of(chunk.document.title, chunk.heading)
    return f"{context}\n{chunk.text}".strip()


def _write(space: str, ids: Sequence[uuid.UUID], vectors: Any) -> None:
    # Locked: a passage that is removed at this moment must not leave a row behind, nor fail the job.
    rows = {row.id: row for row in Chunk.objects.select_for_update(no_key=True).filter(id__in=ids)}
    ChunkVector.objects.bulk_create(
        [_row(rows[key], space, vector) for key, vector in zip(ids, vectors, strict=True) if key in rows],
        ignore_conflicts=True,
    )


STORE = store_register(
    VectorStore(
        holder=PASSAGES,
        kind=BUILD,
        dim=EMBEDDING_DIMENSIONS,
        missing=_missing,
        write=_write,
        done=lambda space: ChunkVector.objects.filter(space=space).count(),
        total=lambda serving: Chunk.objects.count(),
        clear=lambda kept, limit: vectors_clear("knowledge_chunkvector", kept, limit),
    )
)
