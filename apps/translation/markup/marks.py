"""A text as parts: what is translated, and marks for what goes through unchanged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

# word: stands for a word and may move; single: stands for nothing that is said (a line break, an emoji); open and close:
# the two ends of something that encloses words, which stay in this order and do not cross others.
MarkKind = Literal["word", "single", "open", "close"]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that is written as `raw` in the translation. `pair` joins an opening mark with its closing one.

    `term` is what stood in the text where that was something else: a term of a glossary.
    """

    raw: str
    kind: MarkKind = "word"
    pair: int = 0
    term: str = ""


Part = str | Mark
Parts = tuple[Part, ...]


def joined(parts: Iterable[Part]) -> str:
    """Return the parts as written."""
    return "".join(part if isinstance(part, str) else part.raw for part in parts)


def original(parts: Iterable[Part]) -> str:
    """Return the parts as they stood in the text."""
    return "".join(part if isinstance(part, str) else part.term or part.raw for part in parts)


def said(parts: Iterable[Part]) -> bool:
    """Return whether there is a letter to translate."""
    return any(character.isalpha() for part in parts if isinstance(part, str) for character in part)


def merged(parts: Iterable[Part]) -> Parts:
    """Return the parts without empty strings, strings beside strings joined."""
    out: list[Part] = []
    for part in parts:
        if part == "":
            continue
        if isinstance(part, str) and out and isinstance(out[-1], str):
            out[-1] += part
        else:
            out.append(part)
    return tuple(out)


def well_nested(found: Sequence[Mark], wanted: Sequence[Mark]) -> bool:
    """Return whether the enclosing marks of `found` open and close as in `wanted`; some ends may lie outside of both."""
    opens = {mark.pair for mark in wanted if mark.kind == "open"}
    closes = [mark.pair for mark in wanted if mark.kind == "close"]
    stack: list[int] = []
    outer: list[int] = []
    for mark in found:
        if mark.kind == "open":
            stack.append(mark.pair)
        elif mark.kind == "close" and mark.pair in opens:
            if not stack or stack.pop() != mark.pair:
                return False
        elif mark.kind == "close":
            if stack:
                return False
            outer.append(mark.pair)
    left_open = [mark.pair for mark in wanted if mark.kind == "open" and mark.pair not in closes]
    return stack == left_open and outer == [pair for pair in closes if pair not in opens]
