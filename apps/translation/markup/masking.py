"""Writes marks as words that models copy, and finds them again in what comes back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from apps.translation.markup.marks import Mark, Part, Parts, merged, said, well_nested

MAX_MARKS = 40
_NUMBER = re.compile(r"\d+(?:[.,:/'’\u00a0-]\d+)*+")
_DIGIT = re.compile(r"\D+")


@dataclass(frozen=True, slots=True)
class Form:
    """One way of writing marks: the word of number n, and how it is recognised."""

    template: str
    first: int
    pattern: re.Pattern[str]

    def word(self, number: int) -> str:
        return self.template.format(self.first + number)


# On the 155 messages with placeholders of Django's own catalogues, en-pt, the first form came back whole in 98.7 of 100,
# the second in 99.4; placeholders as they are in 37. Together 99.4; the rest is translated piece by piece.
FORMS = (
    Form("XN{}", 41, re.compile(r"(?i:XN)(\d{2,3})(?!\d)")),
    Form("97{:03}", 1, re.compile(r"(?<!\d)97(\d{3})(?!\d)")),
)


def masked(parts: Parts, form: Form) -> str | None:
    """Return the text with marks as words, or None when the text holds such a word itself or has too many marks."""
    if sum(isinstance(part, Mark) for part in parts) > MAX_MARKS:
        return None
    out, number = "", 0
    for part in parts:
        if isinstance(part, str):
            if form.pattern.search(part):
                return None
            # A mark is a word of its own, and no part of the one beside it.
            out += (" " if out and part[:1].isalnum() and number and out[-1].isalnum() else "") + part
        else:
            out += (" " if out and out[-1].isalnum() else "") + form.word(number)
            number += 1
    return out


def unmasked(text: str, parts: Parts, form: Form) -> Parts | None:
    """Return the translation as parts, or None when a mark is missing, doubled, or out of its enclosing order."""
    wanted = [part for part in parts if isinstance(part, Mark)]
    out: list[Part] = []
    begin, seen = 0, []
    for match in form.pattern.finditer(text):
        number = int(match[1]) - form.first
        if not 0 <= number < len(wanted):
            return None
        out += [text[begin : match.start()], wanted[number]]
        seen.append(number)
        begin = match.end()
    out.append(text[begin:])
    if sorted(seen) != list(range(len(wanted))):
        return None
    found = [wanted[number] for number in seen]
    if not well_nested(found, wanted) or _emptied(parts, merged(out)):
        return None
    return merged(_spaced(out, parts, [wanted[number] for number in seen]))


def _emptied(before: Parts, after: Parts) -> bool:
    """Return whether something that enclosed words encloses none any more."""
    return bool(_enclosing(before) - _enclosing(after))


def _enclosing(parts: Parts) -> set[int]:
    """Return the pairs with words between their ends, a missing end being far away."""
    begun: set[int] = set()
    filled: set[int] = set()
    for part in parts:
        if isinstance(part, str):
            filled |= begun if said((part,)) else set()
        elif part.kind == "word":
            filled |= begun
        elif part.kind == "open":
            begun.add(part.pair)
        elif part.kind == "close":
            begun.discard(part.pair)
    return filled


def _spaced(out: list[Part], parts: Parts, found: Sequence[Mark]) -> list[Part]:
    """Return `out` with the white space around its marks as it is around them in `parts`, where that can be told."""
    sides = {id(part): _neighbours(parts, place) for place, part in enumerate(parts) if isinstance(part, Mark)}
    result = list(out)
    for place, part in enumerate(result):
        if not isinstance(part, Mark):
            continue
        before, after = sides[id(part)]
        left, right = result[place - 1], result[place + 1] if place + 1 < len(result) else ""
        if isinstance(left, str):
            follows = result[place - 2] if place >= 2 and not left.strip() else None
            result[place - 1] = _left(left, before, follows, inner=part.kind in ("close", "single"))
        if isinstance(right, str):
            follows = result[place + 2] if place + 2 < len(result) and not right.strip() else None
            result[place + 1] = _right(right, after, follows, inner=part.kind in ("open", "single"))
    return result


def _neighbours(parts: Parts, place: int) -> tuple[Part, Part]:
    """Return what stands directly before and after a part: a character, a mark, or "" at the ends."""
    before = parts[place - 1] if place else ""
    after = parts[place + 1] if place + 1 < len(parts) else ""
    return (before[-1:] if isinstance(before, str) else before), (after[:1] if isinstance(after, str) else after)


def _left(text: str, before: Part, follows: Part | None, *, inner: bool) -> str:
    bare = text.rstrip()
    if isinstance(before, Mark):
        return bare if follows is before else text
    if before and not before.isspace() and (inner or bare.endswith(before)):
        return bare
    if (not before or before.isspace()) and text and text[-1].isalnum():
        return text + " "
    return text


def _right(text: str, after: Part, follows: Part | None, *, inner: bool) -> str:
    bare = text.lstrip()
    if isinstance(after, Mark):
        return bare if follows is after else text
    if after and not after.isspace() and (inner or bare.startswith(after)):
        return bare
    if (not after or after.isspace()) and text and text[0].isalnum():
        return " " + text
    return text


def numbers_kept(before: Parts, after: Parts) -> Parts | None:
    """Return `after` with every number written as in `before`, or None when one of them is missing.

    Models write 1,234.5 as their language does; 1,234.5 in a price list, an invoice or a version must stay what it is.
    """
    wanted: dict[str, list[str]] = {}
    for part in before:
        if isinstance(part, str):
            for number in _NUMBER.findall(part):
                wanted.setdefault(_DIGIT.sub("", number), []).append(number)
    if not wanted:
        return after

    def written(match: re.Match[str]) -> str:
        waiting = wanted.get(_DIGIT.sub("", match.group()))
        return waiting.pop(0) if waiting else match.group()

    out = tuple(_NUMBER.sub(written, part) if isinstance(part, str) else part for part in after)
    return None if any(wanted.values()) else out


def numbers_marked(parts: Parts) -> Parts:
    """Return the parts with numbers as marks, too."""
    out: list[Part] = []
    for part in parts:
        if isinstance(part, Mark):
            out.append(part)
            continue
        begin = 0
        for match in _NUMBER.finditer(part):
            out += [part[begin : match.start()], Mark(match.group())]
            begin = match.end()
        out.append(part[begin:])
    return merged(out)
