"""Proofs of a visitor's identity as a host page's server makes them, and as somebody else would."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from apps.conversations.models import Inbox
from apps.core.tenancy import tenant_scope

ADA = {"sub": "user-7", "name": "Ada", "email": "ada@customer.example"}


def secret_of(inbox: Any) -> str:
    with tenant_scope(inbox.tenant_id):
        return Inbox.objects.get(id=inbox.id).identity_secret


def hash_proof(inbox: Any, identity: str, **extra: str) -> dict[str, str]:
    digest = hmac.new(secret_of(inbox).encode(), identity.encode(), hashlib.sha256).hexdigest()
    return {"id": identity, "hash": digest, **extra}


def part(raw: bytes | str | dict[str, Any]) -> str:
    """One part of a token; text and bytes are taken as they are."""
    body = json.dumps(raw) if isinstance(raw, dict) else raw
    return base64.urlsafe_b64encode(body if isinstance(body, bytes) else body.encode()).decode().rstrip("=")


def signed(
    key: str | bytes, claims: Any, header: Any = None, *, digest: Any = hashlib.sha256, over: str | None = None
) -> str:
    """A token, made by hand so that it can be wrong in any way. `over`: what is signed instead."""
    head = part(header if header is not None else {"alg": "HS256", "typ": "JWT"})
    body = f"{head}.{part(claims)}"
    raw = key.encode() if isinstance(key, str) else key
    return f"{body}.{part(hmac.new(raw, (over or body).encode(), digest).digest())}"


def soon(seconds: float = 300) -> int:
    return int(time.time() + seconds)


def token_proof(inbox: Any, header: Any = None, **claims: Any) -> dict[str, str]:
    """A good token of Ada's, with these claims changed."""
    return {"token": signed(secret_of(inbox), {**ADA, "exp": soon(), **claims}, header)}
