"""Regular expressions of JSON schemas, in a plain form.

What a pattern gives stands between the quotes of a JSON string as it is. So it must not be able to give a quote, a
backslash or a control character, and it is written anew from its parsed form, since every library reads the finer points
of the language differently.
"""

from __future__ import annotations

import re
import re._constants as ops
import re._parser as parser
from collections.abc import Sequence
from typing import Any

MAX_CHARS = 512
_UNBOUNDED = 2**16
_CLASSES = {ops.CATEGORY_DIGIT: "0-9", ops.CATEGORY_WORD: "a-zA-Z0-9_"}


class PatternRefused(ValueError):
    """The pattern cannot be followed; the message says why."""


def pattern_plain(pattern: Any) -> tuple[str, int]:
    """Return an equivalent of `pattern` made of characters, classes, groups, alternatives and repetitions, and its size.

    The size counts the positions of its texts, repetitions counted out.

    A pattern that is not anchored may match in the middle of a text; the text that is generated is the match alone.
    Errors: PatternRefused for look-around, back-references, flags, word boundaries, anchors inside, negated classes, `.`,
            and whatever else could give a character that ends the string; more than 512 characters.
    """
    if not isinstance(pattern, str) or len(pattern) > MAX_CHARS:
        raise PatternRefused(f"it must be a text of at most {MAX_CHARS} characters")
    try:
        parsed = parser.parse(pattern)
    except (re.error, RecursionError, OverflowError):
        raise PatternRefused("it cannot be read") from None
    if parsed.state.flags & ~re.UNICODE or parsed.state.groupdict:
        raise PatternRefused("flags and names of groups are not supported")
    items = list(parsed)
    if items and items[0] == (ops.AT, ops.AT_BEGINNING):
        items = items[1:]
    if items and items[-1] == (ops.AT, ops.AT_END):
        items = items[:-1]
    return _sequence(items)


def _sequence(items: Sequence[tuple[Any, Any]]) -> tuple[str, int]:
    parts = [_item(op, value) for op, value in items]
    return "".join(text for text, _ in parts), sum(size for _, size in parts)


def _item(op: Any, value: Any) -> tuple[str, int]:
    if op is ops.LITERAL:
        return _character(value), 1
    if op is ops.IN:
        return _class(value), 1
    if op is ops.SUBPATTERN:
        _, added, removed, inside = value
        if added or removed:
            raise PatternRefused("flags are not supported")
        text, size = _sequence(list(inside))
        return f"({text})" if text else "", size
    if op is ops.BRANCH:
        parts = [_sequence(list(option)) for option in value[1]]
        if any(not text for text, _ in parts):
            raise PatternRefused("an alternative is empty")
        return f"({'|'.join(text for text, _ in parts)})", sum(size for _, size in parts)
    if op in (ops.MAX_REPEAT, ops.MIN_REPEAT):
        return _repeat(*value)
    raise PatternRefused(f"{str(op).lower().replace('_', ' ')} is not supported")


def _repeat(least: Any, most: Any, inside: Any) -> tuple[str, int]:
    text, size = _sequence(list(inside))
    if not text or most == 0:
        return "", 0
    if most is ops.MAXREPEAT:
        if least > _UNBOUNDED:
            raise PatternRefused("a repetition is too long")
        count, times = max(1, int(least)), f"{{{least},}}"
    else:
        count, times = int(most), f"{{{least},{most}}}"
    return f"({text}){times}", min(size * count, _UNBOUNDED)


def _class(members: Sequence[tuple[Any, Any]]) -> str:
    texts = []
    for op, value in members:
        if op is ops.LITERAL:
            texts.append(_character(value))
        elif op is ops.RANGE:
            low, high = value
            if any(low <= ord(one) <= high for one in '"\\') or low < 32 or (low < 160 and high >= 127):
                raise PatternRefused("a range reaches over quotes, backslashes or control characters")
            if low <= 0xDFFF and high >= 0xD800:
                raise PatternRefused("a range reaches over surrogates")
            texts.append(f"{_character(low)}-{_character(high)}")
        elif op is ops.CATEGORY and value in _CLASSES:
            texts.append(_CLASSES[value])
        else:
            raise PatternRefused("negated classes, and classes of spaces, are not supported")
    return f"[{''.join(texts)}]"


def _character(code: int) -> str:
    character = chr(code)
    if character in '"\\' or code < 32 or 127 <= code < 160 or 0xD800 <= code <= 0xDFFF:
        raise PatternRefused("it gives a quote, a backslash or a control character")
    if character.isalnum() or character in " _" or code > 127:
        return character
    return f"\\{character}"
