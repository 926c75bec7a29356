"""One look serves all sockets of a process; a watch that fails or is closed keeps nobody else from being looked for."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import OperationalError

from apps.conversations.services import conversation_watch, watching
from apps.conversations.types import ConversationState
from tests.sockets import until

TENANT, OTHER = uuid.uuid4(), uuid.uuid4()
STATE = ConversationState(1, 1, "open", "bot", None, False, datetime.now(UTC), "", "", [])


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[uuid.UUID, int]]:
    """The organisation and the number of ids of each query."""
    made: list[tuple[uuid.UUID, int]] = []

    def states(*, tenant_id: uuid.UUID, ids: set[uuid.UUID]) -> dict[uuid.UUID, ConversationState]:
        made.append((tenant_id, len(ids)))
        return dict.fromkeys(ids, STATE)

    monkeypatch.setattr(watching, "conversation_states", states)
    monkeypatch.setattr(watching, "POLL_S", 0.05)
    return made


async def test_a_thousand_sockets_are_two_queries_a_look(looks: list[tuple[uuid.UUID, int]]) -> None:
    seen: list[Any] = []
    watches = [
        conversation_watch(tenant_id=TENANT, conversation_id=uuid.uuid4(), looked=seen.append) for _ in range(1000)
    ]
    await until(lambda: len(seen) >= 1000)
    assert looks[:2] == [(TENANT, 500), (TENANT, 500)]
    for watch in watches:
        watch.close()


async def test_organisations_are_never_looked_for_together(looks: list[tuple[uuid.UUID, int]]) -> None:
    seen: list[Any] = []
    watches = [
        conversation_watch(tenant_id=tenant, conversation_id=uuid.uuid4(), looked=seen.append)
        for tenant in (TENANT, OTHER)
    ]
    await until(lambda: len(seen) >= 2)
    assert sorted(looks[:2], key=str) == sorted([(TENANT, 1), (OTHER, 1)], key=str)
    for watch in watches:
        watch.close()


async def test_a_failing_watch_and_a_database_away_only_delay(
    looks: list[tuple[uuid.UUID, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    working = watching.conversation_states
    away = iter([True])

    def sometimes(**arguments: Any) -> Any:
        if next(away, False):
            raise OperationalError("away")
        return working(**arguments)

    monkeypatch.setattr(watching, "conversation_states", sometimes)
    seen: list[Any] = []

    def fail(_: Any) -> None:
        raise ValueError("a bug")

    watches = [
        conversation_watch(tenant_id=TENANT, conversation_id=uuid.uuid4(), looked=looked)
        for looked in (fail, seen.append)
    ]
    await until(lambda: len(seen) >= 2)
    for watch in watches:
        watch.close()


async def test_a_closed_watch_hears_nothing_and_the_looks_end(looks: list[tuple[uuid.UUID, int]]) -> None:
    seen: list[Any] = []
    watch = conversation_watch(tenant_id=TENANT, conversation_id=uuid.uuid4(), looked=seen.append)
    await until(lambda: bool(seen))
    watch.close()
    heard, _ = len(seen), await asyncio.sleep(0.2)
    made = len(looks)
    await asyncio.sleep(0.2)
    assert (len(seen), len(looks)) == (heard, made)
