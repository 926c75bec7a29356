"""Plain values of the language tasks."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from apps.inference.types import LinearHead
from apps.translation.types import Call, Options, Outcome


@dataclass(frozen=True, slots=True)
class Task:
    """A language task: `run(call, texts, options)` returns one outcome per text, in order.

    `needs_text`: whether an empty text is an error of that item. `explains`: whether `explain` is an option.
    """

    name: str
    options: type[Options]
    run: Callable[[Call, Sequence[str], Any], list[Outcome]]
    model: Callable[[Any], str]
    needs_text: bool = True
    explains: bool = False


@dataclass(frozen=True, slots=True)
class ClassifierHead:
    """Labels in the order of the head's rows; `model`: the encoder that the head belongs to, "" the default one."""

    labels: tuple[str, ...]
    head: LinearHead
    model: str = ""


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One training of a classifier. `metrics` has `accuracy` and `macro_f1` of cross-validation, and `baseline`."""

    number: int
    status: str
    labels: tuple[str, ...]
    examples: int
    metrics: dict[str, Any]
    error_code: str
    created_at: datetime
    finished_at: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """Return the object as the API shows it."""
        return {**asdict(self), "labels": list(self.labels)}


@dataclass(frozen=True, slots=True)
class ClassifierInfo:
    """A classifier with its versions, newest first. `active_version` is 0 until the first is ready."""

    id: uuid.UUID
    name: str
    active_version: int
    labels: dict[str, int]
    versions: tuple[VersionInfo, ...]
    created_at: datetime

    @property
    def status(self) -> str:
        """That of the newest version: training, ready or failed."""
        return self.versions[0].status if self.versions else "failed"

    def as_dict(self) -> dict[str, Any]:
        """Return the object as the API shows it; `labels` counts the examples of each."""
        return {
            "id": str(self.id),
            "name": self.name,
            "status": self.status,
            "active_version": self.active_version,
            "labels": self.labels,
            "versions": [version.as_dict() for version in self.versions],
            "created_at": self.created_at,
        }
