"""Plain values of the bot's runs."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Question:
    """What to answer: the visitor's text, what was said before (role, text), and where to look."""

    tenant_id: uuid.UUID
    text: str
    history: tuple[tuple[str, str], ...] = ()
    collections: tuple[str, ...] = ()
    locale: str = "en"
    abstentions: int = 0


@dataclass(slots=True)
class Answer:
    """What came of a question. `decision` is answer, abstain or handoff; `grounded` is False for drafts with
    unsupported sentences only: a visitor's answer is grounded or is not an answer."""

    decision: str
    reason: str
    text: str
    citations: list[dict[str, Any]] = field(default_factory=list)
    grounded: bool = True
    why: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            "decision": self.decision,
            "reason": self.reason,
            "text": self.text,
            "citations": self.citations,
            "grounded": self.grounded,
        }
