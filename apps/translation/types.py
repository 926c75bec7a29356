"""The form of a language task, as the apps above share it: for whom it runs, its options, what comes back."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from apps.core.errors import AppError, DeadlineExceeded
from apps.inference.types import Priority

# Of one text. A longer one belongs into a document or a batch.
MAX_CHARS = 200_000
# Of one call. More texts are a batch.
MAX_TEXTS = 256
# What a task makes of one text: its fields, or why there are none.
Outcome = dict[str, Any] | AppError


class Options(BaseModel):
    """Options of a task. Unknown names are refused: a misspelt option would pass for a default."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Call:
    """For whom a task runs, how urgently, and until when (monotonic seconds)."""

    tenant_id: uuid.UUID
    priority: Priority = "api"
    deadline: float = field(default_factory=lambda: time.monotonic() + 30.0)

    def left_s(self) -> float:
        """Return the seconds that are left. Raises DeadlineExceeded when there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded
        return left
