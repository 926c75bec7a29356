"""Translation of the engine's and Redis' errors into the application's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from apps.core import errors
from apps.inference.engine import errors as engine_errors

RETRY_AFTER_S = 2.0


def app_error(error: engine_errors.EngineError) -> errors.AppError:
    """Return what callers see for an engine error."""
    if isinstance(error, engine_errors.Overloaded):
        return errors.Busy(retry_after_s=RETRY_AFTER_S)
    if isinstance(error, engine_errors.DeadlineExceeded):
        return errors.DeadlineExceeded(retry_after_s=RETRY_AFTER_S)
    if isinstance(error, engine_errors.PromptTooLong):
        return errors.Invalid(str(error), code="prompt_too_long")
    if isinstance(error, engine_errors.Unsupported):
        return errors.Invalid(str(error), code="unsupported_parameter", details={"parameter": error.parameter})
    if isinstance(error, engine_errors.UnknownModel):
        return errors.NotFound(str(error), code="model_not_found")
    return errors.Unavailable("The model is not available.", code="model_unavailable", retry_after_s=RETRY_AFTER_S)


def app_error_from(code: str, message: str, details: Any = None) -> errors.AppError:
    """Return the error that the worker wrote for a caller in another process."""
    kinds = {
        "busy": errors.Busy,
        "deadline_exceeded": errors.DeadlineExceeded,
        "prompt_too_long": errors.Invalid,
        "unsupported_parameter": errors.Invalid,
        "model_not_found": errors.NotFound,
        "invalid": errors.Invalid,
        "cancelled": errors.Cancelled,
    }
    kind = kinds.get(code, errors.Unavailable)
    retry_after_s = RETRY_AFTER_S if kind.status == 503 else None
    return kind(message, code=code, retry_after_s=retry_after_s, details=details)


@contextmanager
def redis_unavailable() -> Iterator[None]:
    """Turn a lost connection to Redis into 503 with Retry-After."""
    try:
        yield
    except (RedisError, OperationalError) as error:
        raise errors.Unavailable("The queue is not reachable.", retry_after_s=RETRY_AFTER_S) from error


def clean_text(text: str) -> str:
    """Return `text` without lone surrogates, which no tokenizer and no encoder accepts."""
    return text.encode("utf-8", "replace").decode("utf-8")
