"""Which handlers an event has, by name.

A name is data: it stands in events and deliveries, and what was written by one version of the code is delivered by
another. So a name is given once and never changed; a handler that is no longer wanted is taken out with its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from apps.events.models import Delivery
from apps.events.types import EventRecord

Handler = Callable[[EventRecord], None]
_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z0-9_]+")
# {event type: {name: handler}}. A declared type that nobody handles has an empty dictionary.
_handlers: dict[str, dict[str, Registered]] = {}


@dataclass(frozen=True, slots=True)
class Registered:
    """A handler under its name."""

    name: str
    handle: Handler
    late: bool


def on(event_type: str, *, name: str, late: bool = False) -> Callable[[Handler], Handler]:
    """Register a handler for an event type under a name of its own, `<app>.<what it does>`.

    Each event reaches it in a transaction of its own, in the organisation's scope, and again after an error; what
    becomes of other handlers is nothing to it. `late`: nobody waits for what it does; it comes after all others,
    whichever app was loaded first. Raises ValueError for a name that is taken or is none.
    """
    if not _NAME.fullmatch(name) or len(name) > Delivery.MAX_NAME:
        raise ValueError(
            f"{name!r} is no name of a handler: <app>.<what it does>, at most {Delivery.MAX_NAME} characters"
        )

    def register(handler: Handler) -> Handler:
        if name in names_known():
            raise ValueError(f"there is a handler with the name {name} already")
        _handlers.setdefault(event_type, {})[name] = Registered(name, handler, late)
        return handler

    return register


def event_declare(*event_types: str) -> None:
    """Say that these types are recorded and that nobody needs to handle them. One that is neither declared nor handled
    is taken for something of a newer version, and kept."""
    for event_type in event_types:
        _handlers.setdefault(event_type, {})


def event_known(event_type: str) -> bool:
    """Return whether this code knows the type."""
    return event_type in _handlers


def handlers_of(event_type: str) -> list[Handler]:
    """Return the handlers registered for a type, in the order in which they run."""
    return [found.handle for found in _in_order(event_type)]


def handler_names(event_type: str) -> list[str]:
    """Return the names of a type's handlers, in the order in which they run."""
    return [found.name for found in _in_order(event_type)]


def handler_named(event_type: str, name: str) -> Handler | None:
    """Return the handler of a type with this name, None when this code has none."""
    found = _handlers.get(event_type, {}).get(name)
    return found.handle if found else None


def names_known() -> list[str]:
    """Return the names of all handlers."""
    return sorted({name for of_type in _handlers.values() for name in of_type})


def _in_order(event_type: str) -> list[Registered]:
    return sorted(_handlers.get(event_type, {}).values(), key=lambda found: found.late)
