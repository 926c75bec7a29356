"""Plain values of durable work."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

FINAL_STATES = frozenset({"done", "failed", "cancelled", "dead"})


@dataclass(frozen=True, slots=True)
class JobInfo:
    """State of a job. `progress` is done/total in 0..1, and 1 once done."""

    id: uuid.UUID
    kind: str
    status: str
    done: int
    total: int
    progress: float
    note: str
    error_code: str
    error_message: str
    attempts: int


class LeaseLost(Exception):
    """Another worker owns the job now, or it was cancelled: drop the work, keep nothing."""
