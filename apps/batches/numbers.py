"""The numbers in rows and cells, and what they stand for.

A label, source or topic is its place in the batch's list, a time the number of its hour, day, week, month or year.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

NONE, OTHER, ERROR = -1, -2, -3
# How filters and answers name them. No label or source of anybody's begins like this.
SPECIAL = {NONE: "~none", OTHER: "~other", ERROR: "~error"}
_SPECIAL_NUMBERS = {name: number for number, name in SPECIAL.items()}
MAX_LABELS = 40
MAX_SOURCES = 30
NAME_CHARS = 100
UNITS = ("hour", "day", "week", "month", "year")
_LONGEST = {"hour": timedelta(days=3), "day": timedelta(days=120), "week": timedelta(days=1100)}
_LONGEST |= {"month": timedelta(days=365 * 25)}
_SECONDS = {"hour": 3600, "day": 86_400, "week": 604_800}


def name_of(number: int, names: Sequence[str]) -> str:
    """Return what a number stands for."""
    return SPECIAL.get(number) or (names[number] if 0 <= number < len(names) else SPECIAL[OTHER])


def number_of(name: str, names: Sequence[str]) -> int | None:
    """Return the number of a name, or None when the batch has none of this name."""
    if name in _SPECIAL_NUMBERS:
        return _SPECIAL_NUMBERS[name]
    return names.index(name) if name in names else None


def plain_name(name: str) -> str:
    """Return a name as it is kept: without control characters, at most 100 characters, never like a special one."""
    return " ".join(name.split())[:NAME_CHARS].lstrip("~")


def unit_for(first: datetime, last: datetime) -> str:
    """Return the stretch of time that makes a readable chart of the time between the two."""
    return next((unit for unit, longest in _LONGEST.items() if last - first <= longest), "year")


def bucket_floor(at: datetime, unit: str) -> datetime:
    """Return the beginning of the stretch that `at` is in (UTC; weeks begin on Monday)."""
    hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if unit == "hour":
        return hour
    day = hour.replace(hour=0)
    if unit == "week":
        return day - timedelta(days=min(day.weekday(), (day - datetime.min.replace(tzinfo=UTC)).days))
    if unit == "month":
        return day.replace(day=1)
    return day.replace(month=1, day=1) if unit == "year" else day


def bucket_number(at: datetime, unit: str, start: datetime) -> int:
    """Return how many stretches `at` is after the one that begins at `start`."""
    if unit in _SECONDS:
        return int((at - start).total_seconds() // _SECONDS[unit])
    if unit == "month":
        return (at.year - start.year) * 12 + at.month - start.month
    return at.year - start.year


def bucket_begin(number: int, unit: str, start: datetime) -> datetime:
    """Return when a stretch begins."""
    if unit in _SECONDS:
        return start + timedelta(seconds=number * _SECONDS[unit])
    if unit == "month":
        months = start.year * 12 + start.month - 1 + number
        return start.replace(year=min(months // 12, 9999), month=months % 12 + 1)
    return start.replace(year=min(start.year + number, 9999))
