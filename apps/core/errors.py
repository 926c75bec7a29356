"""The error tree: every refusal a caller can see has a stable code and an HTTP status."""

from __future__ import annotations

from typing import Any


class AppError(Exception):
    """Base of all errors that are shown to callers.

    `code` is stable and documented; `message` is for people and may change; `details` is JSON-serialisable;
    `retry_after_s` becomes the Retry-After header.
    """

    code = "internal"
    status = 500
    default_message = "Something went wrong."

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        details: Any = None,
        retry_after_s: float | None = None,
    ) -> None:
        self.message = message or self.default_message
        if code is not None:
            self.code = code
        self.details = details
        self.retry_after_s = retry_after_s
        super().__init__(self.message)


class Invalid(AppError):
    code, status, default_message = "invalid", 422, "The request is not valid."


class Unauthenticated(AppError):
    code, status, default_message = "unauthenticated", 401, "A valid API key or session is required."


class Forbidden(AppError):
    code, status, default_message = "forbidden", 403, "This key or member may not do that."


class NotFound(AppError):
    code, status, default_message = "not_found", 404, "There is no such object."


class Conflict(AppError):
    code, status, default_message = "conflict", 409, "The request conflicts with the current state."


class TooLarge(AppError):
    code, status, default_message = "too_large", 413, "The body is too large."


class StorageFull(AppError):
    """The disk has no room; what was written of it is removed. Chat goes on, since it needs next to none."""

    code, status, default_message = (
        "storage_full",
        507,
        "The server's disk is full. Nothing was stored; try again later.",
    )


class RateLimited(AppError):
    code, status, default_message = "rate_limited", 429, "Too many requests."


class Busy(AppError):
    """No permit: the queue is at its bound. Retry after `retry_after_s`."""

    code, status, default_message = "busy", 503, "The service is at capacity. Try again shortly."


class Unavailable(AppError):
    code, status, default_message = "unavailable", 503, "A part of the service is not available."


class DeadlineExceeded(AppError):
    code, status, default_message = "deadline_exceeded", 503, "The work did not finish before its deadline."


class Cancelled(AppError):
    code, status, default_message = "cancelled", 409, "The work was cancelled."
