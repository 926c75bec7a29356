"""I8: an inference worker that is killed or hangs: the visitor is told within seconds, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import time
import uuid
from typing import Any

import psutil
import pytest

from apps.widget.consumers import REPLY_DELAYED_S
from tests.faults.test_consumption import greeted
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.models, pytest.mark.timeout(600)]
# What a machine that is busy with other things adds to the five seconds.
GRACE_S = 10


async def _frame(socket: Any, wanted: Any, timeout_s: float) -> dict[str, Any]:
    async with asyncio.timeout(timeout_s):
        while True:
            frame: dict[str, Any] = json.loads(await socket.recv())
            if wanted(frame):
                return frame


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hangs"])
async def test_a_visitor_is_told_when_the_worker_says_nothing(stack: Stack, fault: signal.Signals) -> None:
    stack.wait_ready()
    socket, _ = await greeted(stack)
    async with socket:
        hurt = [psutil.Process(pid) for pid in stack.roles()["worker-inference"]]
        for process in hurt:
            process.send_signal(fault)
        try:
            question = "How long does a refund take?"
            await socket.send(json.dumps({"type": "message", "client_id": str(uuid.uuid4()), "text": question}))
            await _frame(socket, lambda frame: frame["type"] == "ack", 30)
            acknowledged = time.monotonic()
            told = await _frame(socket, lambda frame: frame["type"] in {"status", "reply.delta"}, 60)
            waited_s = time.monotonic() - acknowledged
        finally:
            if fault == signal.SIGSTOP:
                for process in hurt:
                    process.send_signal(signal.SIGCONT)
        # A killed worker may be back in time, on a quick machine.
        answered = fault == signal.SIGKILL and told["type"] == "reply.delta"
        assert answered or (told["type"], told.get("reply")) == ("status", "delayed")
        assert waited_s < REPLY_DELAYED_S + GRACE_S
        said = await _frame(socket, lambda frame: (frame.get("message") or {}).get("role") == "bot", 120)
        assert said["message"]["text"]
    stack.wait_ready()
