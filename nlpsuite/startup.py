"""A process that cannot start says so in one line that tells what to do, and whether trying again can help."""

from __future__ import annotations

import sys
from typing import NoReturn

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from apps.core.errors import AppError
from apps.inference.engine.errors import (
    ChecksumMismatch,
    EngineError,
    NotEnoughMemory,
    UnknownModel,
    UnsafeWeights,
    WeightsMissing,
)
from apps.inference.services import start_failure_note
from nlpsuite.supervisor.process import CANNOT_START, EXIT_CONFIG

_LASTING = (ChecksumMismatch, ImproperlyConfigured, NotEnoughMemory, UnknownModel, UnsafeWeights, WeightsMissing)


def start_refuse(error: Exception) -> NoReturn:
    """End this process. Effects: the line on stderr; for the inference worker the reason on the operators' page."""
    if isinstance(error, EngineError | AppError | ImproperlyConfigured):
        reason = " ".join(str(error).split())
    else:
        structlog.get_logger(__name__).error("process.cannot_start", exc_info=error)
        reason = " ".join(f"{type(error).__name__}: {error}".split())
    print(f"{CANNOT_START}{reason}", file=sys.stderr, flush=True)  # noqa: T201
    if settings.NLPSUITE_ROLE == "worker-inference":
        start_failure_note(reason)
    raise SystemExit(EXIT_CONFIG if isinstance(error, _LASTING) else 1) from error
