"""Sockets of one process do not wait for each other."""

from __future__ import annotations

import asyncio
import threading
import uuid
from typing import Any

import pytest

from apps.conversations.services import message_post
from tests.sockets import say, visitor

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_visitor_whose_message_waits_holds_up_nobody_else(
    tenant: Any, inbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, free = threading.Event(), threading.Event()

    def slow_post(**given: Any) -> Any:
        if given["text"] == "slow":
            entered.set()
            assert free.wait(10)
        return message_post(**given)

    monkeypatch.setattr("apps.widget.consumers.message_post", slow_post)
    (waiting, _), (other, _) = await asyncio.gather(visitor(inbox), visitor(inbox))
    await waiting.send(type="message", client_id=str(uuid.uuid4()), text="slow")
    assert await asyncio.to_thread(entered.wait, 5)
    try:
        ack = await asyncio.wait_for(say(other, "quick"), 3)
    finally:
        free.set()
    assert ack["type"] == "ack"
    await waiting.receive("ack")
    await asyncio.gather(waiting.close(), other.close())
