"""LibreTranslate's error shape, {"error": "..."}, and its statuses."""

from __future__ import annotations

from typing import Any

from apps.core.errors import AppError, Forbidden, Invalid, NotFound, TooLarge, Unauthenticated
from apps.model_api.http import MethodNotAllowed


class KeyMissing(Unauthenticated):
    """No key at all: 400 there."""

    code, status, default_message = "key_missing", 400, "An API key is needed: send it as api_key"


def error_body(error: AppError) -> tuple[int, dict[str, Any]]:
    """Return status and body of an error: 403 for a wrong key, 400 for what makes no sense."""
    status, message = error.status, str(error.message)
    if isinstance(error, KeyMissing):
        status = 400
    elif isinstance(error, Unauthenticated):
        status, message = 403, "Invalid API key"
    elif isinstance(error, Invalid) and not isinstance(error, Forbidden):
        status = 400
    elif isinstance(error, TooLarge):
        status = 413
    elif isinstance(error, NotFound | MethodNotAllowed):
        status = error.status
    return status, {"error": message}


def refusal_body(status: int, code: str, message: str) -> dict[str, Any]:
    """Return the body of a refusal that comes before Django."""
    return {"error": message}
