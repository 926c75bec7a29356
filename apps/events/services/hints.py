"""Hints over the channel layer: "look at sequence n". At most once, so never the record; sockets also poll.

Synchronous processes (dispatcher, workers) publish from one background event loop, since the layer's connections
belong to a loop.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from typing import Any

import structlog
from channels.layers import get_channel_layer

log = structlog.get_logger(__name__)
_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_pending = threading.BoundedSemaphore(2000)


def conversation_group(tenant_id: uuid.UUID | str, conversation_id: uuid.UUID | str) -> str:
    """Return the group of the sockets that watch one conversation."""
    return f"t.{tenant_id}.conversation.{conversation_id}"


def queue_group(tenant_id: uuid.UUID | str) -> str:
    """Return the group of the staff sockets that watch an organisation's queue."""
    return f"t.{tenant_id}.queue"


def _background_loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="hints", daemon=True).start()
            _loop = loop
        return _loop


async def hint_send_async(group: str, message: dict[str, Any]) -> None:
    """Publish a hint; an error is logged and swallowed, since a hint may always be lost."""
    try:
        await asyncio.wait_for(get_channel_layer().group_send(group, {"type": "hint", **message}), timeout=3)
    except Exception as error:  # noqa: BLE001  (at most once by design: readers poll)
        log.warning("hint.lost", group=group, error=type(error).__name__)


def hint_send(group: str, message: dict[str, Any]) -> None:
    """Publish a hint from synchronous code without waiting. Above 2,000 waiting hints the new one is dropped."""
    if not _pending.acquire(blocking=False):
        log.warning("hint.dropped", group=group)
        return
    future = asyncio.run_coroutine_threadsafe(hint_send_async(group, message), _background_loop())
    future.add_done_callback(lambda _: _pending.release())
