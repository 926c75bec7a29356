"""The second door of the model routes: too many calls at once are refused before anything of them is received.

Who calls is known by then (`nlpsuite.door`): callers without a right key take no place from those who have one.

Under ten times the load that models can bear, what a refusal costs decides whether the web process still serves
anybody: this one takes a fraction of a millisecond and no thread, connection or query.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import structlog
from django.conf import settings

from apps.core.refusals import Refusal, RefusalShape, refusal_send, shape_at

log = structlog.get_logger(__name__)

_OVERLOADED = Refusal(429, "overloaded", "Too many calls are running; try again in a moment.", 1)
# A reader that takes nothing for so long is cut off: it holds a place, and a permit of its organisation.
STALLED_S = 30.0
# Whoever asks whether the models answer must not be told that they do not because they are busy.
_UNCOUNTED = frozenset(("/tei/health", "/libretranslate/health"))


class CallGate:
    """ASGI middleware that counts the calls in flight below the paths of `shapes`, in all and by key.

    `scope["caller"]` names the key, None a caller without one, who is not counted: nothing runs for them. Where nobody has
    looked, what they sign with counts.

    Above API_MAX_IN_FLIGHT in this process, or API_MAX_IN_FLIGHT_PER_KEY with one key, it answers 429 "overloaded"
    with Retry-After. The organisation's own limit is checked behind this door. A call whose client stops reading is ended.
    """

    def __init__(self, app: Any, *, shapes: Mapping[str, RefusalShape]) -> None:
        self._app, self._shapes = app, shapes
        self._all = 0
        self._by_key: Counter[bytes | str] = Counter()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass the call on, or refuse it."""
        shape = self._shape(scope)
        if shape is None:
            await self._app(scope, receive, send)
            return
        key = scope["caller"] if "caller" in scope else _signature(scope)
        if key is None:
            await self._app(scope, receive, send)
            return
        if self._all >= settings.API_MAX_IN_FLIGHT or self._by_key[key] >= settings.API_MAX_IN_FLIGHT_PER_KEY:
            # The connection stays: a refusal must cost nothing, and clients come back on it.
            await refusal_send(scope, send, _OVERLOADED, door="calls", shape=shape, close=False)
            return
        self._all += 1
        self._by_key[key] += 1
        try:
            await self._app(scope, receive, _impatient(send))
        except TimeoutError:
            # The server closes a connection whose answer was not finished.
            # Without what follows: the last part of a file's address is the right to fetch it.
            log.warning("gate.reader_stalled", path="/".join(scope["path"].split("/")[:3]))
        finally:
            self._all -= 1
            self._by_key[key] -= 1
            if not self._by_key[key]:
                del self._by_key[key]

    def _shape(self, scope: dict[str, Any]) -> RefusalShape | None:
        if scope["type"] != "http" or scope["path"] in _UNCOUNTED:
            return None
        return shape_at(self._shapes, scope["path"])


def _signature(scope: dict[str, Any]) -> bytes:
    return next((value for name, value in scope["headers"] if name == b"authorization"), b"")


def _impatient(send: Any) -> Any:
    """Return `send`, which raises TimeoutError when the client takes nothing for STALLED_S."""

    async def sending(message: dict[str, Any]) -> None:
        async with asyncio.timeout(STALLED_S):
            await send(message)

    return sending
