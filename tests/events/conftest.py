"""Handlers of an event type of the tests' own, and its events."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from apps.core.clock import now
from apps.core.tenancy import tenant_scope
from apps.events.models import Delivery, OutboxEntry
from apps.events.services import dispatch as dispatch_module
from apps.events.services import event_record, on, registry

TYPE = "test.happened"


@pytest.fixture
def handle(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Register a handler of the test's own event type for the length of the test, under a name of its own."""
    monkeypatch.setitem(registry._handlers, TYPE, {})
    monkeypatch.setattr(dispatch_module, "_looked_at", -float(dispatch_module.LOOK_AGAIN_S))
    numbers = itertools.count(1)
    return lambda handler, **how: on(TYPE, **{"name": f"test.handler_{next(numbers)}", **how})(handler) and None


def record(tenant: Any, subject_id: uuid.UUID | None = None, type: str = TYPE, **data: Any) -> uuid.UUID:
    with tenant_scope(tenant.id):
        return event_record(type=type, subject_type="thing", subject_id=subject_id or uuid.uuid4(), data=data)


def due() -> None:
    """Let everything that waits be due now."""
    OutboxEntry.objects.update(next_attempt_at=now() - timedelta(seconds=1))
    Delivery.objects.update(next_attempt_at=now() - timedelta(seconds=1))
