"""Visitor tokens: 256 random bits with our seal, so that a token proves itself before its first message is written.

A token is written (hashed) with the visitor's first message; until then nothing is stored for a page view. The id of the
visitor's next conversation is derived from the token, which is how it stays reserved over reconnects and restarts.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct
import time
import uuid
from datetime import timedelta

from django.conf import settings

PREFIX = "nlv_"
LIFETIME = timedelta(days=30)
_SEAL_BYTES = 16


def _seal(inbox_id: uuid.UUID, body: bytes) -> bytes:
    key = hashlib.sha256(b"visitor-token\0" + settings.SECRET_KEY.encode()).digest()
    return hmac.new(key, inbox_id.bytes + body, hashlib.sha256).digest()[:_SEAL_BYTES]


def visitor_token_issue(*, inbox_id: uuid.UUID) -> str:
    """Return a new token: 32 random bytes, 4 bytes of Unix time, a 16-byte seal bound to the inbox."""
    body = secrets.token_bytes(32) + struct.pack(">I", int(time.time()))
    return PREFIX + base64.urlsafe_b64encode(body + _seal(inbox_id, body)).decode().rstrip("=")


def visitor_token_issued_at(*, inbox_id: uuid.UUID, token: str) -> float | None:
    """Return the Unix time at which we issued `token` for this inbox, or None when we did not."""
    if not token.startswith(PREFIX) or len(token) > 100:
        return None
    try:
        raw = base64.b64decode(token[len(PREFIX) :] + "=" * (-len(token[len(PREFIX) :]) % 4), b"-_", validate=True)
    except ValueError:
        return None
    body, seal = raw[:-_SEAL_BYTES], raw[-_SEAL_BYTES:]
    if len(body) != 36 or not hmac.compare_digest(seal, _seal(inbox_id, body)):
        return None
    return float(struct.unpack(">I", body[32:])[0])


def visitor_token_digest(token: str) -> str:
    """Return what is stored instead of the token."""
    return hashlib.sha256(token.encode()).hexdigest()


def reserved_conversation_id(token: str, number: int = 0) -> uuid.UUID:
    """Return the id of the next conversation that this token may open, after `number` of its contact's."""
    suffix = f"\0{number}" if number else ""
    digest = bytearray(hashlib.sha256(f"conversation\0{token}{suffix}".encode()).digest()[:16])
    digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80  # RFC 9562, version 8: custom
    return uuid.UUID(bytes=bytes(digest))
