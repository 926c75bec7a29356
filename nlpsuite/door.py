"""ASGI: who calls is looked at before what they send is received.

Django reads a whole body, and spools it to disk, before any view sees a key or a session. Here a caller whose key is wrong
is answered at once, and whoever shows neither key nor session may send a form's worth, into memory, within seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from typing import Any

import structlog
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.db import Error
from django.http import HttpRequest, parse_cookie
from psycopg_pool import PoolTimeout

from apps.accounts.access import access_credential, credential_digest
from apps.core.peers import client_network
from apps.core.refusals import Refusal, RefusalShape, refusal_send, shape_at
from apps.model_api.libretranslate.fields import key_of_part, key_within

log = structlog.get_logger(__name__)
Scope = dict[str, Any]
# A key is not looked up again for so long, right or wrong; behind this door each request's own check is at once.
_FRESH_S = 30.0
_KEYS_KEPT = 10_000
# Look-ups of one address at a time. Keys that were right before do not stand in its line.
_LOOKUPS_PER_ADDRESS = 2
_LOOKUPS_WAITING = 512
# How long a refused sender is still listened to: a connection closed in its face would lose the answer on the way.
_LINGER_S = 2.0
_LINGER_BYTES = 4 * 1024 * 1024
# A file follows the fields of its form: the key is among the first bytes where clients put it before the file.
_KEY_WITHIN_BYTES = 64 * 1024
_KEY_PATHS = ("/api/", "/v1/", "/tei")
_BODY_KEY_PATH = "/libretranslate"


class Refused(Exception):
    """The request ends here, with a status, a stable code and a message."""

    def __init__(self, status: int, code: str, message: str, retry_after_s: int = 0) -> None:
        super().__init__(code)
        self.refusal = Refusal(status, code, message, retry_after_s)


class KeyBook:
    """Which API keys are right: asked of the database, a few at a time for each address, and kept for half a minute."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="door")
        self._fresh: OrderedDict[str, float] = OrderedDict()
        self._wrong: OrderedDict[str, float] = OrderedDict()
        self._lines: dict[str, tuple[asyncio.Semaphore, list[None]]] = {}

    async def knows(self, secret: str, address: str) -> bool:
        """Whether the key is right. Raises Refused 503 without the database, 429 where too many wait at one address."""
        digest = credential_digest(secret)
        until = self._fresh.get(digest)
        if until is not None and until > time.monotonic():
            return True
        if self._wrong.get(digest, 0.0) > time.monotonic():
            return False  # nobody guesses a key before it is made: what was wrong stays wrong
        if until is not None:
            return await self._ask(digest, secret)
        async with self.line(address):
            return await self._ask(digest, secret)

    async def in_thread(self, work: Callable[[], Any]) -> Any:
        """Run a look-up on the door's own threads. Raises Refused 503 without the database."""
        try:
            return await database_sync_to_async(work, thread_sensitive=False, executor=self._pool)()
        except (Error, PoolTimeout) as error:
            log.warning("door.store_away", error=type(error).__name__)
            raise Refused(503, "unavailable", "A part of the service is not available.", 2) from error

    async def _ask(self, digest: str, secret: str) -> bool:
        right = await self.in_thread(lambda: access_credential(secret, kind="api_key") is not None)
        self._fresh.pop(digest, None)
        kept = self._fresh if right else self._wrong
        kept[digest] = time.monotonic() + _FRESH_S
        if len(kept) > _KEYS_KEPT:
            kept.popitem(last=False)
        return bool(right)

    @asynccontextmanager
    async def line(self, address: str) -> AsyncIterator[None]:
        """Wait for one of the address's own look-ups. Raises Refused 429 where too many wait."""
        semaphore, waiting = self._lines.setdefault(address, (asyncio.Semaphore(_LOOKUPS_PER_ADDRESS), []))
        if len(waiting) >= _LOOKUPS_WAITING:
            raise Refused(429, "overloaded", "Too many calls are running; try again in a moment.", 1)
        waiting.append(None)
        try:
            async with semaphore:
                yield
        finally:
            waiting.pop()
            if not waiting:
                self._lines.pop(address, None)


class Places:
    """Bodies of unknown senders that are still coming, bounded by address and in all.

    Where all places are taken the one that came first gives way to the newcomer: an honest form is there in a moment.
    """

    def __init__(self) -> None:
        self._held: OrderedDict[object, tuple[str, asyncio.Event]] = OrderedDict()

    @contextmanager
    def take(self, address: str) -> Any:
        """Hold a place; gives the event that says it was taken away."""
        mine = [token for token, (holder, _) in self._held.items() if holder == address]
        if len(mine) >= settings.UNKNOWN_BODIES_PER_ADDRESS:
            self._take_away(mine[0])
        elif len(self._held) >= settings.UNKNOWN_BODIES:
            self._take_away(next(iter(self._held)))
        token, gone = object(), asyncio.Event()
        self._held[token] = (address, gone)
        try:
            yield gone
        finally:
            self._held.pop(token, None)

    def _take_away(self, token: object) -> None:
        self._held.pop(token)[1].set()


class CredentialsFirst:
    """Passes on what may be received, and refuses the rest before it is.

    Below the paths of `shapes` a wrong key is refused at once, and `scope["caller"]` names the right one (else None).
    Elsewhere it is looked at where a body would follow. Without a right key or a session a body may have
    UNKNOWN_BODY_BYTES, received here: longer ones get 401 where a key belongs and 413 elsewhere, slow ones 408.
    LibreTranslate's clients send their key within the body: there it is read from the beginning of the body.
    """

    def __init__(self, app: Any, *, shapes: Mapping[str, RefusalShape]) -> None:
        self._app, self._shapes = app, shapes
        self._keys, self._places = KeyBook(), Places()

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        try:
            scope, receive = await self._admitted(scope, receive)
        except Refused as refused:
            await self._refuse(scope, receive, send, refused)
            return
        if scope is not None:
            await self._app(scope, receive, send)

    async def _admitted(self, scope: Scope, receive: Any) -> tuple[Any, Any]:
        path, modelled = scope["path"], shape_at(self._shapes, scope["path"]) is not None
        size = _declared(scope)
        if not modelled and size == 0:
            return scope, receive
        address, key = client_network(scope), _bearer(scope)
        if key and path.startswith((*_KEY_PATHS, _BODY_KEY_PATH)):
            if await self._keys.knows(key, address):
                return {**scope, "caller": credential_digest(key)}, receive
            if not path.startswith(_BODY_KEY_PATH):
                raise Refused(401, "api_key_invalid", "A valid API key or session is required.")
        if size == 0:
            return {**scope, "caller": None}, receive
        if path.startswith(_BODY_KEY_PATH):
            return await self._with_key_inside(scope, receive, address)
        if (size is None or size > settings.UNKNOWN_BODY_BYTES) and await self._signed_in(scope, address):
            return {**scope, "caller": None}, receive
        body, complete = await self._received(receive, address, size, settings.UNKNOWN_BODY_BYTES)
        if body is None:
            return None, receive
        if not complete:
            raise _too_much(path)
        return {**scope, "caller": None}, _replay([body], complete, receive)

    async def _with_key_inside(self, scope: Scope, receive: Any, address: str) -> tuple[Any, Any]:
        kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
        parts = kind.strip().lower().startswith(b"multipart/")
        body, complete = await self._received(receive, address, None, settings.UNKNOWN_KEY_BODY_BYTES, parts)
        if body is None:
            return None, receive
        query = scope.get("query_string", b"")
        key = await self._keys.in_thread(lambda: key_within(body, kind, query))
        if key and await self._keys.knows(key, address):
            return {**scope, "caller": credential_digest(key)}, _replay([body], complete, receive)
        if not complete:
            raise Refused(403, "api_key_invalid", "Invalid API key") if key else Refused(400, "key_missing", _KEY_EARLY)
        return {**scope, "caller": None}, _replay([body], complete, receive)

    async def _received(
        self, receive: Any, address: str, size: int | None, limit: int, parts: bool = False
    ) -> tuple[bytes | None, bool]:
        """Return a body of about `limit` bytes at most and whether it is all; None when the sender has left.

        With `parts` it ends as soon as a multipart body has named its key. Raises Refused 408.
        """
        if size is not None and size > limit:
            return b"", False
        found, began = bytearray(), time.monotonic()
        with self._places.take(address) as gone:
            while True:
                message = await _next(receive, gone, began, len(found))
                if message["type"] == "http.disconnect":
                    return None, False
                found += message.get("body", b"")
                if not message.get("more_body", False):
                    return bytes(found), True
                if len(found) > limit or (parts and key_of_part(bytes(found[:_KEY_WITHIN_BYTES]))):
                    return bytes(found), False

    async def _signed_in(self, scope: Scope, address: str) -> bool:
        cookies = parse_cookie(
            b"; ".join(value for name, value in scope["headers"] if name == b"cookie").decode("latin-1")
        )
        session = cookies.get(settings.SESSION_COOKIE_NAME)
        if not session:
            return False
        async with self._keys.line(address):
            return bool(await self._keys.in_thread(lambda: _session_user(session)))

    async def _refuse(self, scope: Scope, receive: Any, send: Any, refused: Refused) -> None:
        headers = []
        if scope["path"].startswith(_BODY_KEY_PATH):
            headers.append((b"access-control-allow-origin", b"*"))  # browsers of every site may read why
        if refused.refusal.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await refusal_send(
            scope,
            send,
            refused.refusal,
            door="credentials",
            shape=shape_at(self._shapes, scope["path"]),
            headers=headers,
            linger=(lambda: _linger(receive)) if _declared(scope) != 0 else None,
        )


_KEY_EARLY = "An API key is needed: send it as api_key before the file, or in the header Authorization"


def _too_much(path: str) -> Refused:
    if path.startswith(_KEY_PATHS):
        return Refused(401, "unauthenticated", "A valid API key or session is required.")
    return Refused(413, "too_large", "The body is too large for somebody who is not signed in.")


def _declared(scope: Scope) -> int | None:
    """Return the length that the body says it has, 0 without a body, None for one whose end is to be seen."""
    for name, value in scope["headers"]:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            return int(value) if value.isdigit() else None
    return 0


def _bearer(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name == b"authorization"), b"").decode("latin-1")
    scheme, _, secret = given.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def _session_user(key: str) -> bool:
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    return bool(get_user(request).is_authenticated)


async def _next(receive: Any, gone: asyncio.Event, began: float, so_far: int) -> dict[str, Any]:
    """Return the next part of an unknown sender's body. Raises Refused 408 when it is late or its place is needed."""
    # At first the grace alone counts; later what has come must have come at the slowest pace that is allowed.
    allowed_s = max(settings.UNKNOWN_BODY_S, so_far / settings.UNKNOWN_BODY_BYTES_PER_S)
    part, taken = asyncio.ensure_future(receive()), asyncio.ensure_future(gone.wait())
    try:
        await asyncio.wait(
            {part, taken},
            timeout=max(0.0, began + allowed_s - time.monotonic()),
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not part.done():
            raise Refused(408, "too_slow", "The body came too slowly.")
        message: dict[str, Any] = part.result()
        return message
    finally:
        part.cancel()
        taken.cancel()


def _replay(parts: Iterable[bytes], complete: bool, receive: Any) -> Any:
    """Return a `receive` that gives the parts that are here already, and then goes on."""
    waiting = list(parts)

    async def receiving() -> dict[str, Any]:
        if not waiting:
            message: dict[str, Any] = await receive()
            return message
        part = waiting.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(waiting) or not complete}

    return receiving


async def _linger(receive: Any) -> None:
    """Throw away what a refused sender goes on sending, for a moment."""
    left = _LINGER_BYTES
    try:
        async with asyncio.timeout(_LINGER_S):
            while left > 0:
                message = await receive()
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))
    except TimeoutError:
        return
