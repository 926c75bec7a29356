"""How long rows are kept: each app registers what of its own grows with use, and `tenants` visits all of it every hour.

A registration is a function that removes a part: at most `most` rows older than `before`, found by an index, in the open
transaction. Nothing else is asked of it; parts, pauses, time limits and catching up are the visitor's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from apps.core.clock import now

Remove = Callable[[datetime, int], int]


@dataclass(frozen=True, slots=True)
class Retention:
    """One registration. `table` is what it removes rows of, or empties a column of."""

    name: str
    table: str
    days_setting: str
    each_organization: bool
    remove: Remove

    def before(self) -> datetime:
        """Return the time before which rows go."""
        return now() - timedelta(days=getattr(settings, self.days_setting) if self.days_setting else 0)


_registered: dict[str, Retention] = {}


def retention(
    name: str, *, table: str, days_setting: str = "", each_organization: bool = True
) -> Callable[[Remove], Remove]:
    """Register `remove(before, most) -> removed` under a name; raises ValueError for one that is taken.

    `days_setting` names the installation's setting; without one, rows say themselves when they end, and `before` is now.
    With `each_organization` it runs in the scope of each organisation, otherwise once without a scope.
    """

    def register(remove: Remove) -> Remove:
        if name in _registered:
            raise ValueError(f"{name} has a retention already")
        _registered[name] = Retention(name, table, days_setting, each_organization, remove)
        return remove

    return register


def retentions() -> list[Retention]:
    """Return what is registered, by name."""
    return [_registered[name] for name in sorted(_registered)]


def statement(sql: str, values: dict[str, Any]) -> int:
    """Run one statement; returns how many rows it removed or changed."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return int(cursor.rowcount)
