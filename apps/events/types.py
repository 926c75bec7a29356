"""Plain values of the event log."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event as handlers receive it: at least once, in outbox order."""

    id: uuid.UUID
    tenant_id: uuid.UUID
    type: str
    subject_type: str
    subject_id: uuid.UUID
    data: dict[str, Any]
    actor: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class DeliveryInfo:
    """One event on its way to one handler. `attempts` counts those that began; `error` names what the last one raised."""

    id: int
    tenant_id: uuid.UUID
    event_id: uuid.UUID
    event_type: str
    handler: str
    state: str
    attempts: int
    error: str
    created_at: datetime
    next_attempt_at: datetime


@dataclass(frozen=True, slots=True)
class HandlerBacklog:
    """What of all organisations has not reached one handler. `oldest_at` is when the event of the oldest that waits was
    recorded, None where none waits; `error` names what a dead one raised last."""

    handler: str
    pending: int
    dead: int
    unknown: int
    oldest_at: datetime | None
    error: str
