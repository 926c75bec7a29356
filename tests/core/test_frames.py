"""The base of the socket consumers: what happens to a peer that goes away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from apps.core.sockets import FrameConsumer


class _Gone(FrameConsumer):
    """A socket whose peer has left: whatever is sent to it fails, as uvicorn says it."""

    async def send(self, *_: Any, **__: Any) -> None:
        raise ConnectionResetError


@pytest.mark.parametrize("frames", [1, 3])
async def test_a_peer_that_leaves_while_it_is_told_something_is_no_error(frames: int) -> None:
    socket = _Gone()
    pump = socket.spawn(socket._pump())
    with capture_logs() as logs:
        for _ in range(frames):
            socket.push({"type": "message"})
        await asyncio.wait_for(asyncio.wait([pump]), 30)
        await asyncio.sleep(0)  # what the end of the pump has called
    assert (logs, socket.closing) == ([], False)
