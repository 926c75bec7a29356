"""Text Embeddings Inference's error shape: {"error", "error_type"}, and its statuses."""

from __future__ import annotations

from typing import Any

from apps.core.errors import AppError, Forbidden, Invalid, NotFound, RateLimited, TooLarge, Unauthenticated
from apps.model_api.http import MethodNotAllowed


class Empty(Invalid):
    """Nothing to work on: 400 here."""

    code, status, default_message = "empty", 400, "`inputs` cannot be empty"


class Oversized(Invalid):
    """A batch or a text beyond its bound: 413 here."""

    code, status = "oversized", 413


# Our code -> status and error_type. What the installation has no model for is a failure of the backend, as there.
_KNOWN: dict[str, tuple[int, str]] = {
    "empty": (400, "empty"),
    "malformed": (400, "validation"),
    "oversized": (413, "validation"),
    "model_role": (424, "backend"),
    "no_default_model": (424, "backend"),
    "busy": (429, "overloaded"),
    "concurrency_limit": (429, "overloaded"),
    "model_unavailable": (503, "unhealthy"),
}
_KINDS: tuple[tuple[type[AppError], str], ...] = (
    (Unauthenticated, "unauthorized"),
    (Forbidden, "forbidden"),
    (NotFound, "not_found"),
    (MethodNotAllowed, "method_not_allowed"),
    (TooLarge, "validation"),
    (RateLimited, "rate_limit"),
    (Invalid, "validation"),
)


def error_body(error: AppError) -> tuple[int, dict[str, Any]]:
    """Return status and body of an error."""
    status, kind = error.status, next((name for of, name in _KINDS if isinstance(error, of)), "")
    if error.code in _KNOWN:
        status, kind = _KNOWN[error.code]
    kind = kind or ("unhealthy" if status == 503 else "backend")
    return status, {"error": str(error.message), "error_type": kind}


def refusal_body(status: int, code: str, message: str) -> dict[str, Any]:
    """Return the body of a refusal that comes before Django."""
    kind = {401: "unauthorized", 429: "overloaded", 503: "unhealthy"}.get(status, "validation")
    return {"error": message, "error_type": kind}
