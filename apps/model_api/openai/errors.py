"""OpenAI's error shape: {"error": {"message", "type", "param", "code"}}."""

from __future__ import annotations

from typing import Any

from apps.core.errors import AppError, Forbidden, NotFound, TooLarge, Unauthenticated
from apps.model_api.http import MethodNotAllowed

# Our code -> status, type and code of OpenAI's shape.
_KNOWN: dict[str, tuple[int, str, str]] = {
    "rate_limited": (429, "requests", "rate_limit_exceeded"),
    "concurrency_limit": (429, "requests", "concurrency_limit"),
    "quota_exceeded": (429, "insufficient_quota", "insufficient_quota"),
    "busy": (429, "overloaded", "overloaded"),
    "prompt_too_long": (400, "invalid_request_error", "context_length_exceeded"),
    "model_not_found": (404, "invalid_request_error", "model_not_found"),
    "model_role": (400, "invalid_request_error", "model_role"),
    "scope_missing": (403, "invalid_request_error", "insufficient_permissions"),
}


def error_body(error: AppError) -> tuple[int, dict[str, Any]]:
    """Return status and body of an error. Invalid is 400 here, whatever it is elsewhere."""
    if error.code in _KNOWN:
        status, kind, code = _KNOWN[error.code]
    elif isinstance(error, Unauthenticated):
        status, kind, code = 401, "invalid_request_error", "invalid_api_key"
    elif isinstance(error, Forbidden | NotFound | TooLarge | MethodNotAllowed):
        status, kind, code = error.status, "invalid_request_error", error.code
    elif error.status < 500:
        status, kind, code = 400, "invalid_request_error", error.code
    else:
        status, kind, code = error.status, "server_error", error.code
    return status, {"error": {"message": str(error.message), "type": kind, "param": _param(error), "code": code}}


def _param(error: AppError) -> str | None:
    if isinstance(error.details, dict):
        param = error.details.get("param") or error.details.get("parameter")
        if param:
            return str(param)
    return "model" if error.code in {"model_not_found", "model_role"} else None


def refusal_body(status: int, code: str, message: str) -> dict[str, Any]:
    """Return the body of a refusal that comes before Django."""
    kind = {429: "overloaded", 503: "server_error"}.get(status, "invalid_request_error")
    code = "invalid_api_key" if status == 401 else code
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
