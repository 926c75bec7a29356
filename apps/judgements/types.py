"""Plain values of judgements."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

MAX_REASON = 2_000
# Targets and authors are opaque: the id of a row, or a name such as that of a model with its revision.
MAX_ID = 120
MAX_NAME = 40
MAX_VALUE = 60


class AuthorKind(StrEnum):
    """Who judges. `key` is a program with an API key, `model` a model with its revision, `check` a rule of ours."""

    CONTACT = "contact"
    USER = "user"
    KEY = "key"
    MODEL = "model"
    CHECK = "check"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Author:
    """Who judged; `id` is "" where that is not known any more."""

    kind: AuthorKind
    id: str = ""


@dataclass(frozen=True, slots=True)
class JudgementField:
    """What is judged of a kind of target, as the app declares it that owns the target.

    Values are one of the labels `values`, or numbers: one of `numbers`, or from `low` to `high` (`whole`: integers alone).
    Where nothing is given, any label is one.
    """

    target_kind: str
    name: str
    values: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judgement to keep. `judged_at` None is now."""

    target_id: str
    value: str | float
    author: Author
    reason: str = ""
    judged_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class JudgementInfo:
    """What an author holds of a target now. `number` is the value of a field of numbers, None for labels."""

    id: uuid.UUID
    target_kind: str
    target_id: str
    field: str
    value: str
    number: float | None
    author: Author
    reason: str
    judged_at: datetime

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": str(self.id),
            "target": {"kind": self.target_kind, "id": self.target_id},
            "field": self.field,
            "value": self.value if self.number is None else self.number,
            "author": {"kind": str(self.author.kind), "id": self.author.id},
            "reason": self.reason,
            "judged_at": self.judged_at.isoformat().replace("+00:00", "Z"),
        }


@dataclass(frozen=True, slots=True)
class JudgementPage:
    """A page of judgements, and the place where the next one begins; None at the end."""

    items: Sequence[JudgementInfo]
    after: tuple[datetime, uuid.UUID] | None
