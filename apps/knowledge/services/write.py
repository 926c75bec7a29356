"""The one transaction that replaces the passages of a source."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from apps.core.ids import new_id
from apps.knowledge.chunking import ChunkDraft
from apps.knowledge.lexis import tsvector_literal
from apps.knowledge.models import Chunk, Document, Source
from apps.knowledge.services.vectors import INSERT_BATCH, Vectors, vectors_write


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


def source_replace(
    source: Source, documents: Sequence[PreparedDocument], spaces: Sequence[str], vectors: Vectors
) -> None:
    """Make `documents` the contents of `source` and set its counts, in the open scope and transaction. Each passage gets
    its vector in each of `spaces`.

    Readers see the old passages until it commits. Documents keep their row by name, and a document whose passages did
    not change keeps those too, so that links to them hold.
    """
    kept = {row.name_sha256: row for row in Document.objects.filter(source=source)}
    written: set[str] = set()
    for document in documents:
        key = sha256(document.name)
        written.add(key)
        row = kept.get(key) or Document(source=source, name=document.name[:2000], name_sha256=key)
        _document_write(source, row, document, spaces, vectors)
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
    source: Source, row: Document, document: PreparedDocument, spaces: Sequence[str], vectors: Vectors
) -> None:
    chunks = [
        _chunk(source, row, ordinal, draft, digest)
        for ordinal, (draft, digest) in enumerate(zip(document.drafts, document.digests, strict=True))
    ]
    # A row of the first version has no context: what is embedded follows from title and heading then.
    same_title = row.title == document.title
    row.url, row.title, row.format = document.url, document.title, document.format
    row.flags = list(document.flags)
    row.chunk_count, row.term_count = len(chunks), sum(chunk.term_count for chunk in chunks)
    row.save()
    old = list(Chunk.objects.filter(document=row).order_by("ordinal").defer("embedding"))
    if len(old) == len(chunks) and all(_same(a, b, same_title) for a, b in zip(old, chunks, strict=True)):
        # Those that have no vector here yet get it; the others are passed over.
        for kept, chunk in zip(old, chunks, strict=True):
            chunk.id = kept.id
        vectors_write(chunks, spaces, vectors)
        return
    Chunk.objects.filter(document=row)._raw_delete("default")
    for chunk in chunks:
        chunk.embedding = vectors[spaces[0], chunk.embed_sha256]
    Chunk.objects.bulk_create(chunks, batch_size=INSERT_BATCH)
    vectors_write(chunks, spaces, vectors)


def _same(old: Chunk, new: Chunk, same_title: bool) -> bool:
    """Whether a passage is shown, found and embedded as before."""
    shown = ("text_sha256", "heading", "anchor", "collection")
    context = same_title if old.context is None else old.context == new.context
    return context and all(getattr(old, name) == getattr(new, name) for name in shown)


def _chunk(source: Source, row: Document, ordinal: int, draft: ChunkDraft, digest: str) -> Chunk:
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
        context=draft.context,
        text=draft.text,
        text_sha256=sha256(draft.text),
        embed_sha256=digest,
        term_count=terms,
        search_text=literal,
    )
