"""How many rows each DELETE takes: what is meant to go a part at a time must not go at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection


@contextmanager
def deletions() -> Iterator[list[int]]:
    """Collect the rows that each DELETE of this thread takes, in order; what goes along by cascade is not counted."""
    found: list[int] = []

    def note(execute: Callable[..., Any], statement: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        result = execute(statement, params, many, context)
        if statement.startswith("DELETE"):
            found.append(context["cursor"].rowcount)
        return result

    with connection.execute_wrapper(note):
        yield found
