"""Times as people and programs write them into tables."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# Month and day in the American order are left alone: 03/04 would be guessed wrong half of the time.
_FORMATS = ("%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y")
_SECONDS = re.compile(r"\d{9,10}(\.\d+)?")
_MILLISECONDS = re.compile(r"\d{12,13}")


def time_parse(raw: str) -> datetime | None:
    """Return the time, in UTC; None for what cannot be understood. A time without a zone is taken as UTC.

    Understood are ISO 8601, year/month/day, day.month.year, RFC 5322 and seconds or milliseconds since 1970.
    """
    text = raw.strip()
    if not text or len(text) > 60:
        return None
    found = _parse(text)
    if found is None:
        return None
    with suppress(ValueError, OverflowError):
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return None


def _parse(text: str) -> datetime | None:
    with suppress(ValueError):
        if _SECONDS.fullmatch(text):
            return datetime.fromtimestamp(float(text), UTC)
        if _MILLISECONDS.fullmatch(text):
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        return datetime.fromisoformat(text)
    for pattern in _FORMATS:
        with suppress(ValueError):
            return datetime.strptime(text, pattern)
    with suppress(ValueError, TypeError, IndexError):
        return parsedate_to_datetime(text)
    return None
