"""Streamed answers over the API: what they hold, and how they end."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest
from django.db import connection, connections

from apps.assistant import api
from apps.assistant.types import Answer, Question
from apps.core.tenancy import connection_release, tenant_scope
from apps.knowledge.selectors import passages_search
from apps.tenants.selectors import organization_settings
from tests import fakes
from tests.sockets import until

pytestmark = pytest.mark.django_db(transaction=True)


async def _events(tenant: Any) -> str:
    response = api._stream(Question(tenant_id=tenant.id, text="When do pallets leave?"))

    async def read() -> bytes:
        return b"".join([chunk async for chunk in response])  # type: ignore[union-attr]

    return (await asyncio.wait_for(read(), 5)).decode()


class _Run:
    """A run that reads the database, as every run does."""

    wrappers: ClassVar[list[Any]] = []

    def __init__(self, question: Question, **_: Any) -> None:
        self.question = question

    def run(self) -> Answer:
        organization_settings(tenant_id=self.question.tenant_id)
        self.wrappers.append(connections["default"])
        return Answer("abstain", "test", "Nothing.")


async def test_a_streamed_answer_gives_its_connection_back(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread stays for the next answer; a connection that stayed with it would be dead after a restart."""
    monkeypatch.setattr(api, "AnswerRun", _Run)
    assert "event: end" in await _events(tenant)
    (wrapper,) = _Run.wrappers
    await until(lambda: wrapper.connection is None)


async def test_an_error_of_ours_ends_the_stream_at_once(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: _Run) -> Answer:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(_Run, "run", broken)
    monkeypatch.setattr(api, "AnswerRun", _Run)
    monkeypatch.setattr(api, "PING_S", 60.0)
    events = await _events(tenant)
    assert '"code": "internal"' in events
    assert "secret" not in events


def test_a_search_holds_no_connection_while_the_model_works(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    models = fakes.install(monkeypatch, fakes.FakeModels())
    held: list[Any] = []

    def embed(*args: Any, **kwargs: Any) -> Any:
        held.append(connection.connection)
        return models.embed_texts(*args, **kwargs)

    monkeypatch.setattr("apps.knowledge.selectors.search.embed_texts", embed)
    organization_settings(tenant_id=tenant.id)
    passages_search(tenant_id=tenant.id, query="pallets")
    assert held == [None]


def test_a_connection_in_a_transaction_is_kept(tenant: Any) -> None:
    with tenant_scope(tenant.id):
        connection_release()
        assert connection.in_atomic_block
        assert organization_settings(tenant_id=tenant.id)
