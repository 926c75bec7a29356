"""What can be judged: each app declares it for the targets that it owns. Nothing here knows one by name."""

from __future__ import annotations

import math
import re

from apps.core.errors import Invalid
from apps.judgements.types import MAX_NAME, MAX_VALUE, JudgementField

_NAME = re.compile(rf"[a-z][a-z0-9_]{{0,{MAX_NAME - 1}}}")
_fields: dict[tuple[str, str], JudgementField] = {}


def judgement_field_declare(field: JudgementField) -> None:
    """Say that a field of a kind of target is judged. Raises ValueError for one that is declared, or is no name."""
    if not _NAME.fullmatch(field.name) or not _NAME.fullmatch(field.target_kind):
        raise ValueError(f"{field.target_kind}.{field.name} is no name of a field")
    if (field.target_kind, field.name) in _fields:
        raise ValueError(f"{field.target_kind}.{field.name} is declared already")
    _fields[field.target_kind, field.name] = field


def judgement_field(target_kind: str, name: str) -> JudgementField:
    """Return a declared field. Raises Invalid "judgement_field_unknown"."""
    found = _fields.get((target_kind, name))
    if found is None:
        raise Invalid("Nothing of this kind is judged by this field.", code="judgement_field_unknown")
    return found


def value_read(field: JudgementField, value: str | float) -> tuple[str, float | None]:
    """Return a value as it is stored, as text and as a number. Raises Invalid "judgement_value_invalid"."""
    if field.numbers or field.low is not None or field.high is not None:
        number = _number(field, value)
        return repr(int(number) if number.is_integer() else number), number
    if not isinstance(value, str) or not value or len(value) > MAX_VALUE or "\x00" in value or not _writable(value):
        raise _invalid(field)
    if field.values and value not in field.values:
        raise _invalid(field)
    return value, None


def _number(field: JudgementField, value: str | float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _invalid(field)
    low, high = field.low, field.high
    # Compared before it becomes a float: an integer may be too large for one. Nothing compares with NaN.
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        raise _invalid(field)
    if field.numbers and value not in field.numbers:
        raise _invalid(field)
    if not math.isfinite(value) or (field.whole and value != int(value)):
        raise _invalid(field)
    return float(value)


def _writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _invalid(field: JudgementField) -> Invalid:
    return Invalid(f"This is no value of {field.name}.", code="judgement_value_invalid")
