"""The one transaction that replaces the passages of a source."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from apps.core.ids import new_id
from apps.knowledge.chunking import ChunkDraft
from apps.knowledge.lexis import tsvector_literal
from apps.knowledge.models import Chunk, Document, Source

INSERT_BATCH = 500


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """A document ready to be written; `digests` name what is embedded for each draft."""

    name: str
    url: str
    title: str
    format: str
    flags: tuple[str, ...]
    drafts: tuple[ChunkDraft, ...]
    digests: tuple[str, ...]


def source_replace(source: Source, documents: Sequence[PreparedDocument], vectors: Mapping[str, np.ndarray]) -> None:
    """Make `documents` the contents of `source` and set its counts, in the open scope and transaction.

    Readers see the old passages until it commits. Documents keep their row by name, and a document whose passages did
    not change keeps those too, so that links to them hold.
    """
    kept = {row.name_sha256: row for row in Document.objects.filter(source=source)}
    written: set[str] = set()
    for document in documents:
        key = sha256(document.name)
        written.add(key)
        row = kept.get(key) or Document(source=source, name=document.name[:2000], name_sha256=key)
        _document_write(source, row, document, vectors)
    gone = [row.id for key, row in kept.items() if key not in written]
    Chunk.objects.filter(document_id__in=gone)._raw_delete("default")
    Document.objects.filter(id__in=gone)._raw_delete("default")
    source.document_count = len(documents)
    source.chunk_count = sum(len(document.drafts) for document in documents)
    source.content_sha256 = sha256("".join(digest for document in documents for digest in document.digests))


def sha256(text: str) -> str:
    """Return the hexadecimal digest of `text`."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _document_write(
    source: Source, row: Document, document: PreparedDocument, vectors: Mapping[str, np.ndarray]
) -> None:
    chunks = [
        _chunk(source, row, ordinal, draft, digest, vectors)
        for ordinal, (draft, digest) in enumerate(zip(document.drafts, document.digests, strict=True))
    ]
    row.url, row.title, row.format = document.url, document.title, document.format
    row.flags = list(document.flags)
    row.chunk_count, row.term_count = len(chunks), sum(chunk.term_count for chunk in chunks)
    row.save()
    old = Chunk.objects.filter(document=row).order_by("ordinal")
    if list(old.values_list("embed_sha256", "text_sha256", "anchor", "collection")) == [
        (chunk.embed_sha256, chunk.text_sha256, chunk.anchor, chunk.collection) for chunk in chunks
    ]:
        return
    old._raw_delete("default")
    Chunk.objects.bulk_create(chunks, batch_size=INSERT_BATCH)


def _chunk(
    source: Source,
    row: Document,
    ordinal: int,
    draft: ChunkDraft,
    digest: str,
    vectors: Mapping[str, np.ndarray],
) -> Chunk:
    literal, terms = tsvector_literal(draft.heading, draft.text)
    return Chunk(
        id=new_id(),
        tenant_id=source.tenant_id,
        document=row,
        source_id=source.id,
        collection=source.collection,
        ordinal=ordinal,
        heading=draft.heading[:2000],
        # A fragment that is cut leads nowhere.
        anchor=draft.anchor if len(draft.anchor) <= 500 else "",
        text=draft.text,
        text_sha256=sha256(draft.text),
        embed_sha256=digest,
        embedding=vectors[digest],
        term_count=terms,
        search_text=literal,
    )
