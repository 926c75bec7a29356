"""Plain values of the knowledge base."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class SourceKind(StrEnum):
    FILE = "file"
    URL = "url"
    TEXT = "text"


class SourceStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A source as callers see it. `progress` is 0..1; `problems` names the documents that could not be read."""

    id: uuid.UUID
    kind: str
    name: str
    collection: str
    status: str
    progress: float
    note: str
    error_code: str
    error_message: str
    problems: tuple[dict[str, Any], ...]
    flags: tuple[str, ...]
    documents: int
    chunks: int
    size_bytes: int
    created_at: datetime
    ready_at: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """Return the object as the API shows it."""
        error = {"code": self.error_code, "message": self.error_message} if self.error_code else None
        return {
            "id": str(self.id),
            "kind": self.kind,
            "name": self.name,
            "collection": self.collection,
            "status": self.status,
            "progress": round(self.progress, 4),
            "note": self.note,
            "error": error,
            "problems": list(self.problems),
            "flags": list(self.flags),
            "documents": self.documents,
            "chunks": self.chunks,
            "size_bytes": self.size_bytes,
            "created_at": self.created_at,
            "ready_at": self.ready_at,
        }


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage found for a query.

    `document` and `title` are the document's title, `source` its file name or URL, `heading` the path "A › B" above the
    passage, `url` where a reader finds it in place. `score` is `cosine` plus a small share of `lexical` (ranking.py).
    """

    chunk_id: uuid.UUID
    document_id: uuid.UUID
    source_id: uuid.UUID
    document: str
    source: str
    title: str
    heading: str
    anchor: str
    url: str
    text: str
    score: float
    cosine: float
    lexical: float


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Passages, best first, and the terms that the query was read as.

    `mode`: "meaning" (vectors and words), or "words" alone where the encoder of the vectors is not installed any more.
    """

    passages: tuple[Passage, ...]
    terms: tuple[str, ...]
    mode: str = "meaning"


@dataclass(frozen=True, slots=True)
class PassageView:
    """A document opened at a passage. `found` is the index of the cited passage in `chunks`, None when it is gone."""

    tenant_id: uuid.UUID
    title: str
    source: str
    chunks: tuple[ShownChunk, ...]
    found: int | None


@dataclass(frozen=True, slots=True)
class ShownChunk:
    heading: str
    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class DocumentText:
    """A document as one text; `chars` is its whole length, which `text` may fall short of."""

    title: str
    text: str
    format: str
    chars: int
    hidden_text: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the object as pages show it."""
        return {
            "title": self.title,
            "text": self.text,
            "format": self.format,
            "chars": self.chars,
            "cut": self.chars > len(self.text),
            "hidden_text": self.hidden_text,
        }
