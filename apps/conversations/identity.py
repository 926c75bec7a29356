"""What a host page says of its visitor, and how much of it is proven.

Two forms. A hash, hex HMAC-SHA-256 of the id under the inbox's secret, proves the id alone: name and address beside it come
from the browser. A token, a JWT signed with the same secret (RFC 7519, HS256), proves all its claims. PyJWT reads and
verifies it; here it is only made stricter: one algorithm, no header that points elsewhere, an end within a day.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
import time
from typing import Any

import jwt
from jwt.utils import base64url_decode, base64url_encode

from apps.conversations.models import Inbox
from apps.conversations.types import MAX_NAME, Identity, storable
from apps.core.errors import Forbidden

ALGORITHM = "HS256"
MAX_TOKEN_CHARS = 4096
# A token that leaks is worth nothing after a day.
MAX_LIFETIME_S = 24 * 3600
# How far the clocks of the host page's server and of this one may be apart; the end of a token gets no such grace.
CLOCK_SKEW_S = 10
MAX_ID_CHARS = 120
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}")
# kid, jku, jwk, x5u, x5c and crit would say where to find another key or what else to obey: there is one key.
_HEADERS = {"alg", "typ"}


def identity_proven(inbox: Inbox, raw: Any) -> Identity | None:
    """Return the identity that `raw` proves, None when there is none.

    `raw` is `{"token": JWT}` or `{"id", "hash", "email"?, "name"?}`. Raises Forbidden "identity_invalid" for whatever does
    not prove itself, "identity_expired" for a token that did until its `exp`.
    """
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise _refused()
    return _of_token(inbox, raw["token"]) if "token" in raw else _of_hash(inbox, raw)


def identity_check(inbox: Inbox, proven: bool) -> None:
    """Raise Forbidden "identity_required" when the inbox admits proven identities only and this is none."""
    if inbox.identity_required and not proven:
        raise Forbidden("Only visitors whom their site has signed in can write here.", code="identity_required")


def _refused() -> Forbidden:
    return Forbidden("The identity is not valid.", code="identity_invalid")


def _of_hash(inbox: Inbox, raw: dict[str, Any]) -> Identity:
    known = _id(raw.get("id"))
    expected = hmac.new(inbox.identity_secret.encode(), known.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), str(raw.get("hash", "")).encode("utf-8", "replace")):
        raise _refused()
    said = {name: storable(raw[name], 254) for name in ("name", "email") if raw.get(name)}
    return Identity(known, name=said.get("name", ""), email=said.get("email", ""))


def _of_token(inbox: Inbox, token: Any) -> Identity:
    if not isinstance(token, str) or len(token) > MAX_TOKEN_CHARS or not _FORM.fullmatch(token):
        raise _refused()
    audience = inbox.identity_audience or inbox.widget_token or str(inbox.id)
    try:
        claims = jwt.decode(
            token,
            inbox.identity_secret,
            algorithms=[ALGORITHM],
            audience=audience,
            issuer=inbox.identity_issuer or None,
            options={
                "require": ["exp", *(["aud"] if inbox.identity_audience else [])],
                # A token without `aud` is for this inbox, whose secret signed it, unless the inbox names an audience.
                "verify_aud": bool(inbox.identity_audience) or _has_audience(token),
                # With a grace for clocks that differ, which PyJWT would give to `exp` as well.
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
        _written_once(token)
    except jwt.ExpiredSignatureError:
        raise Forbidden("The identity's token has expired.", code="identity_expired") from None
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
        raise _refused() from None
    _times_check(claims)
    return _claimed(claims)


def _has_audience(token: str) -> bool:
    """Whether the claims name an audience; looked at before the signature is verified, and only to be stricter."""
    return "aud" in json.loads(base64url_decode(token.split(".")[1]))


def _written_once(token: str) -> None:
    """Raise ValueError when a part can be read in two ways: a name twice, spare bits, headers that are not ours."""
    parts = token.split(".")
    if any(base64url_encode(base64url_decode(part)).decode() != part for part in parts):
        raise ValueError("not canonical base64url")
    header = json.loads(base64url_decode(parts[0]), object_pairs_hook=_once)
    json.loads(base64url_decode(parts[1]), object_pairs_hook=_once)
    if set(header) - _HEADERS:
        raise ValueError("a header that is not ours")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name twice")
    return dict(pairs)


def _times_check(claims: dict[str, Any]) -> None:
    """Raise Forbidden unless `exp` is within a day and neither `nbf` nor `iat` lies ahead."""
    present = time.time()
    bounds = {
        "exp": present + MAX_LIFETIME_S + CLOCK_SKEW_S,
        "nbf": present + CLOCK_SKEW_S,
        "iat": present + CLOCK_SKEW_S,
    }
    for name, latest in bounds.items():
        value = claims.get(name)
        if name not in claims:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or value > latest:
            raise _refused()


def _claimed(claims: dict[str, Any]) -> Identity:
    """Return who the claims name. `email_verified: false` makes the address a said one, as OpenID Connect has it."""
    named = [claims[name] for name in ("id", "sub") if name in claims]
    if not named or any(other != named[0] for other in named):
        raise _refused()
    known = _id(named[0])
    texts = {name: claims.get(name) or "" for name in ("name", "email")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise _refused()
    return Identity(
        known,
        name=storable(texts["name"], MAX_NAME),
        email=storable(texts["email"], 254),
        name_proven=bool(texts["name"]),
        email_proven=bool(texts["email"]) and claims.get("email_verified", True) is True,
    )


def _id(value: Any) -> str:
    """Return an id as the database takes it, unchanged: two ids must never become one."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_CHARS or storable(value, MAX_ID_CHARS) != value:
        raise _refused()
    return value
