"""Structured logs on stderr, one event a line; JSON unless a person watches the terminal."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import structlog

from nlpsuite.settings import env

LOG_JSON = env.env_bool("LOG_JSON", default=not sys.stderr.isatty())
# The values of these parts of a path are rights by themselves: links to passages and files, keys of a new password.
_SECRET_PARTS = frozenset({"token", "key"})
_QUERY = re.compile(r"(\bhttps?://[^\s?#\"'<>]*)[?#][^\s\"'<>]*")


def without_secrets(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Name a request by method and path: its query, and what in its path opens something, do not belong in a log.

    Django's own lines hold the request as an object, whose text has the whole address, and may quote the page that led
    here.
    """
    request = event.get("request")
    text = str(event.get("event", ""))
    if request is not None and hasattr(request, "method") and hasattr(request, "path"):
        shown = _path(request)
        event["request"] = f"{request.method} {shown}"
        text = text.replace(request.path, shown)
    elif request is not None:
        event["request"] = type(request).__name__
    event["event"] = _QUERY.sub(r"\1", text)
    return event


def _path(request: Any) -> str:
    match = getattr(request, "resolver_match", None)
    path = str(request.path)
    for name, value in (match.kwargs if match is not None else {}).items():
        if name in _SECRET_PARTS and value:
            path = path.replace(str(value), "***")
    return path


_pre: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_pre,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)


class NotReadyFilter(logging.Filter):
    """/readyz says 503 many times during a start: that is its answer, not an error."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "/readyz" not in record.getMessage()


class ExpectedStopFilter(logging.Filter):
    """What Celery and kombu warn of when they are told to stop: that running jobs are waited for, and that a message which
    arrived meanwhile goes back to its queue."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(("Initiating Soft Shutdown", "Requeuing undeliverable message"))


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "event": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer() if LOG_JSON else structlog.dev.ConsoleRenderer(),
            ],
            "foreign_pre_chain": [
                *_pre,
                structlog.stdlib.ExtraAdder(),
                without_secrets,
                structlog.processors.format_exc_info,
            ],
        }
    },
    "filters": {"not_ready": {"()": NotReadyFilter}, "expected_stop": {"()": ExpectedStopFilter}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "event", "filters": ["not_ready", "expected_stop"]}
    },
    "root": {"handlers": ["stderr"], "level": env.env_str("LOG_LEVEL", "INFO")},
    "loggers": {
        "uvicorn": {"level": "WARNING"},
        "django.channels.server": {"level": "WARNING"},
        "celery": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        "sentence_transformers": {"level": "WARNING"},
    },
}
