"""Functions that tests have computed in another process."""

from __future__ import annotations

import os
import re
import signal
import uuid

from apps.core.errors import Invalid
from apps.core.offload import offload


def where() -> tuple[int, int]:
    """Return the process and its priority of the processor."""
    return os.getpid(), os.getpriority(os.PRIO_PROCESS, 0)


def refuse() -> None:
    raise Invalid("No.", code="not_this", details={"place": 3}, retry_after_s=1.5)


def fail() -> None:
    raise ValueError("a fault")


def endless() -> None:
    """Hold the interpreter for years, in one call that nothing interrupts."""
    re.match(r"(a+)+$", "a" * 60 + "b")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def nested() -> tuple[int, int]:
    return os.getpid(), offload(os.getpid, uuid.uuid4(), 10**6, 10)
