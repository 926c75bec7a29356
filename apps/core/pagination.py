"""Keyset pagination: stable under inserts, and as fast on the last page as on the first."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from apps.core.errors import Invalid

MAX_LIMIT = 100
# As many digits as every bigint has room for.
_NUMBER = re.compile(r"[0-9]{1,15}")
# Ours have at most 130 characters: two values of a row.
MAX_CURSOR_CHARS = 500


def page_limit(limit: int) -> int:
    """Return `limit` within 1..100. Raises Invalid outside."""
    if not 1 <= limit <= MAX_LIMIT:
        raise Invalid(f"limit must be from 1 to {MAX_LIMIT}.", code="limit_invalid")
    return limit


def cursor_number(cursor: str, *, default: int) -> int:
    """Return the number that a list in a fixed order goes on after, `default` for "". Raises Invalid.

    Plain ASCII digits only: `str.isdigit` also holds for "²", which `int` does not read.
    """
    if not cursor:
        return default
    if not _NUMBER.fullmatch(cursor):
        raise Invalid("The cursor is not valid.", code="cursor_invalid")
    return int(cursor)


def paginate(queryset: QuerySet, *, cursor: str, limit: int, key: str = "id") -> tuple[list[Any], str | None]:
    """Return up to `limit` rows in descending order of (key, id) after `cursor`, and the next cursor or None.

    Raises Invalid for a cursor that this function did not make.
    """
    limit = page_limit(limit)
    fields = [key] if key == "id" else [key, "id"]
    if cursor:
        values = _decode(cursor, len(fields))
        after = Q(**{f"{key}__lt": values[0]})
        if len(fields) == 2:
            after |= Q(**{key: values[0], "id__lt": values[1]})
        try:
            queryset = queryset.filter(after)
        except (ValueError, TypeError, OverflowError, ValidationError) as error:
            raise Invalid("The cursor is not valid.", code="cursor_invalid") from error
    rows = list(queryset.order_by(*[f"-{field}" for field in fields])[: limit + 1])
    if len(rows) <= limit:
        return rows, None
    rows = rows[:limit]
    return rows, _encode([getattr(rows[-1], field) for field in fields])


def _encode(values: list[Any]) -> str:
    plain = [value.isoformat() if hasattr(value, "isoformat") else str(value) for value in values]
    return base64.urlsafe_b64encode(json.dumps(plain).encode()).decode().rstrip("=")


def _decode(cursor: str, count: int) -> list[str]:
    if len(cursor) > MAX_CURSOR_CHARS:
        raise Invalid("The cursor is not valid.", code="cursor_invalid")
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError) as error:
        raise Invalid("The cursor is not valid.", code="cursor_invalid") from error
    if not isinstance(values, list) or len(values) != count or not all(isinstance(v, str) for v in values):
        raise Invalid("The cursor is not valid.", code="cursor_invalid")
    return values
