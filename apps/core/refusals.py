"""What the ASGI doors answer before Django is asked: one form, an id that is in the answer, and a count.

A door is a piece of ASGI in front of the application. It knows a status, a stable code and a sentence; below some paths
clients expect them in another shape (`RefusalShape`).
"""

from __future__ import annotations

import json
import re
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# Status, code and message -> JSON body.
RefusalShape = Callable[[int, str, str], dict[str, Any]]
Headers = Iterable[tuple[bytes, bytes]]
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Refusals of this process by door and code. Both come from the code of the doors, never from a request.
REFUSED: Counter[tuple[str, str]] = Counter()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status, a stable code and a message, and after how many seconds to try again (0: nothing is said of it)."""

    status: int
    code: str
    message: str
    retry_after_s: int = 0


def refusal_count(door: str, code: str) -> None:
    """Count what was refused without an answer of ours, as a connection that is cut."""
    REFUSED[door, code] += 1


def request_id(given: str) -> str:
    """Return the id that a request brings in X-Request-ID when it is short and plain, else a new one."""
    return given if _ID.fullmatch(given) else uuid.uuid4().hex


def shape_at(shapes: Mapping[str, RefusalShape], path: str) -> RefusalShape | None:
    """Return the shape of the refusals below `path`, None where the API's own is meant."""
    return next((shape for prefix, shape in shapes.items() if path.startswith(prefix)), None)


async def refusal_send(
    scope: Mapping[str, Any],
    send: Callable[[dict[str, Any]], Awaitable[None]],
    refusal: Refusal,
    *,
    door: str,
    shape: RefusalShape | None = None,
    headers: Headers = (),
    close: bool = True,
    linger: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Answer a request, or a socket that is not accepted yet, and count it under `door`.

    `close` ends the connection, since a body may follow; `linger` is awaited between the answer and its end.
    """
    REFUSED[door, refusal.code] += 1
    given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
    mark = request_id(given)
    made = shape(refusal.status, refusal.code, refusal.message) if shape else _api_shape(refusal, mark)
    body = json.dumps(made).encode()
    told = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", mark.encode()),
        *([(b"connection", b"close")] if close else []),
        *([(b"retry-after", b"%d" % refusal.retry_after_s)] if refusal.retry_after_s else []),
        *headers,
    ]
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    await send({"type": f"{kind}.start", "status": refusal.status, "headers": told})
    await send({"type": f"{kind}.body", "body": body, "more_body": linger is not None})
    if linger is not None:
        await linger()
        await send({"type": f"{kind}.body", "body": b""})


def _api_shape(refusal: Refusal, mark: str) -> dict[str, Any]:
    return {"error": {"code": refusal.code, "message": refusal.message, "request_id": mark}}
