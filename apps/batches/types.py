"""Plain values of batches."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

ROLES = ("text", "time", "source", "reference")
ACTIVE = ("queued", "reading", "running")
ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class BatchInfo:
    """A batch as callers see it. `total` is 0 until the file has been read; `eta_s` None while it is not known."""

    id: uuid.UUID
    name: str
    task: str
    options: dict[str, Any]
    status: str
    format: str
    columns: dict[str, str]
    total: int
    done: int
    failed: int
    rate_per_s: float
    topics: tuple[str, ...]
    topics_note: str
    error_code: str
    error_message: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None

    @property
    def progress(self) -> float:
        """The share of rows that are done, 1 for a batch that is."""
        return 1.0 if self.status == "done" else min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def eta_s(self) -> float | None:
        """The seconds that are probably left of one that runs."""
        if self.status != "running" or self.rate_per_s <= 0:
            return None
        return round((self.total - self.done) / self.rate_per_s, 1)

    def as_dict(self) -> dict[str, Any]:
        """Return the form of the API."""
        error = {"code": self.error_code, "message": self.error_message} if self.error_code else None
        return {
            "id": str(self.id),
            "name": self.name,
            "task": self.task,
            "options": self.options,
            "status": self.status,
            "format": self.format,
            "columns": self.columns,
            "progress": round(self.progress, 4),
            "total": self.total,
            "done": self.done,
            "failed": self.failed,
            "rate_per_s": round(self.rate_per_s, 2) if self.status == "running" else None,
            "eta_s": self.eta_s,
            "topics": list(self.topics),
            "topics_note": self.topics_note,
            "error": error,
            "created_at": self.created_at,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "expires_at": self.expires_at,
        }


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Which rows: by name ("" is any), and by time from (inclusive) to (exclusive), in whole stretches of the chart."""

    label: str = ""
    source: str = ""
    topic: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class InputRow:
    """A row as it was read: `code` says why it cannot be used."""

    reference: str
    source: str
    at: datetime | None
    text: str
    code: str = ""
    message: str = ""
