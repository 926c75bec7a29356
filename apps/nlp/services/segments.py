"""Where the sentences of a text are, and which texts are read at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from apps.inference.services import sentences_split

T = TypeVar("T")


def sentences_of(text: str) -> list[tuple[int, int]]:
    """Return start and end of each sentence that holds a letter or digit, in code points."""
    spans, at = [], 0
    for sentence, space in sentences_split(text):
        end = at + len(sentence)
        if any(character.isalnum() for character in sentence):
            spans.append((at, end))
        at = end + len(space)
    return spans


def parts_of(rows: Sequence[T], size: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """Yield neighbouring rows in parts whose sizes add up to at most `most`; a larger row is a part of its own."""
    part: list[T] = []
    held = 0
    for row in rows:
        if part and held + size(row) > most:
            yield part
            part, held = [], 0
        part.append(row)
        held += size(row)
    if part:
        yield part
