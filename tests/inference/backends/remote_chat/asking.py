"""One request to a remote backend, for tests about what it ends with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apps.inference.engine.backends.remote_chat import RemoteChat
from tests.inference.backends.collecting import ask

Make = Callable[..., RemoteChat]


def failed(make: Make, **options: Any) -> Any:
    """Return the error of one request."""
    return ask(make(**options), "Hi").ended(15).failed
