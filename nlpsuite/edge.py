"""ASGI, outermost: what a request says about itself is made true or refused before anything reads it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings

from apps.core.peers import client_address, is_trusted
from apps.core.refusals import Refusal, refusal_send

# What Python's `strip` and `splitlines` take for white space or an end of line, and the other controls: a value that is
# one line here and two lines there is how a header is smuggled into another.
_CONTROLS = frozenset({*range(0x20), 0x7F} - {0x09})
_NEXT_LINE = "\x85"
# Python unquotes a cookie in a time that grows with the square of its backslashes: 64 KiB of them are 14 s, so many 0.1 ms.
_COOKIE_BACKSLASHES = 256
_FOUL = Refusal(400, "header_invalid", "A header has characters that are not allowed.")


class TrueClient:
    """Sets `scope["client"]` to the client behind TRUSTED_PROXIES, and `scheme` as they say.

    From everybody else `X-Forwarded-Proto` is dropped where proxies are named. Header values with control characters or
    with U+0085, and cookies made of backslashes, are answered 400 "header_invalid".
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
        elif any(_is_foul(value) for _, value in scope["headers"]) or _is_slow(scope["headers"]):
            if scope["type"] == "websocket":
                await receive()  # websocket.connect
            await refusal_send(scope, send, _FOUL, door="header")
        else:
            await self._app(_true_scope(scope), receive, send)


def _true_scope(scope: dict[str, Any]) -> dict[str, Any]:
    peer, port = scope.get("client") or ("", 0)
    # Django writes both forms of a name into one variable: X_Forwarded_For would be X-Forwarded-For there.
    headers = [(name, value) for name, value in scope["headers"] if b"_" not in name]
    made = {**scope, "headers": headers, "peer": peer}
    if not is_trusted(peer):
        if settings.TRUSTED_PROXIES:
            made["headers"] = [(name, value) for name, value in headers if name != b"x-forwarded-proto"]
        return made
    address = client_address(made)
    made["client"] = (address, port if address == peer else 0)
    said = [value.strip() for name, value in headers if name == b"x-forwarded-proto"]
    if said and said[-1] in {b"http", b"https"}:
        scheme = said[-1].decode()
        made["scheme"] = scheme.replace("http", "ws") if scope["type"] == "websocket" else scheme
    return made


def _is_foul(value: bytes) -> bool:
    if not _CONTROLS.isdisjoint(value):
        return True
    if 0x85 not in value:
        return False
    try:
        # Within UTF-8 the byte is a part of ordinary letters, in the cookie of a neighbour for instance.
        return _NEXT_LINE in value.decode()
    except UnicodeDecodeError:
        return True


def _is_slow(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the cookies would take long to read."""
    return sum(value.count(b"\\") for name, value in headers if name == b"cookie") > _COOKIE_BACKSLASHES
