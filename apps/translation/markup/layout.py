"""Texts as what is copied and what is translated."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from textwrap import wrap

from apps.translation.markup.marks import Parts, joined

# Beyond it a document is no text for people.
MAX_SEGMENTS = 50_000
# Lines that are shorter are those of an address or a poem, even where each is full.
_LEAST_WIDTH = 50
_MOST_LINES = 100
_ITEM = re.compile(r"(?:[-*+•]|\d{1,3}[.)])\s")


class TooManySegments(ValueError):
    """The document has more than MAX_SEGMENTS pieces of text."""


class Layout:
    """A text in pieces. `segments` are translated, everything else is copied."""

    def __init__(self) -> None:
        self.segments: list[Parts] = []
        self._pieces: list[str | int] = []

    def copy(self, text: str) -> None:
        """Add text that stays."""
        self._pieces.append(text)

    def translate(self, parts: Parts) -> None:
        """Add text that is translated. Raises TooManySegments."""
        if len(self.segments) >= MAX_SEGMENTS:
            raise TooManySegments
        self._pieces.append(len(self.segments))
        self.segments.append(parts)

    def pieces(self) -> list[str | Parts]:
        """Return what is copied and what is translated, in order."""
        return [piece if isinstance(piece, str) else self.segments[piece] for piece in self._pieces]

    def written(self, translated: Sequence[Parts], finish: Callable[[Parts, Parts], str] | None = None) -> str:
        """Return the text with `translated`, one for each segment; `finish(before, after)` writes one."""
        write = finish or (lambda _, after: joined(after))
        return "".join(
            piece if isinstance(piece, str) else write(self.segments[piece], translated[piece])
            for piece in self._pieces
        )


class PlainText(Layout):
    """A plain text: lines, white space and indentation stay."""

    def __init__(self, text: str) -> None:
        super().__init__()
        for line in text.splitlines(keepends=True):
            bare = line.strip()
            begin = line.find(bare)
            self.copy(line[:begin])
            if bare:
                self.translate((bare,))
            self.copy(line[begin + len(bare) :])


class WrappedText(Layout):
    """A plain text whose paragraphs may be cut into lines of one width: they are read whole, and cut again."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._cuts: dict[Parts, tuple[int, str]] = {}
        lines = text.splitlines(keepends=True)
        place = 0
        while place < len(lines):
            end = _paragraph_end(lines, place)
            self._add(lines[place:end])
            place = end

    def _add(self, lines: Sequence[str]) -> None:
        bare = [line.strip() for line in lines]
        indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())] if bare[0] else lines[0]
        self.copy(indent)
        if not bare[0]:
            return
        parts: Parts = (" ".join(bare),)
        if len(lines) > 1:
            self._cuts[parts] = max(map(len, bare)), lines[0][len(lines[0].rstrip()) :] + indent
        self.translate(parts)
        self.copy(lines[-1][len(lines[-1].rstrip()) :])

    def written(self, translated: Sequence[Parts], finish: Callable[[Parts, Parts], str] | None = None) -> str:
        """Return the text; paragraphs that had a width have it again."""

        def cut(before: Parts, after: Parts) -> str:
            if before not in self._cuts:
                return joined(after)
            width, between = self._cuts[before]
            return between.join(wrap(joined(after), width, break_long_words=False, break_on_hyphens=False))

        return super().written(translated, cut)


def _paragraph_end(lines: Sequence[str], begin: int) -> int:
    """Return where the paragraph ends that begins at a line; a line that was not full is one of its own."""
    end = begin
    last = min(len(lines), begin + _MOST_LINES)
    while end < last and lines[end].strip() and _margin(lines[end]) == _margin(lines[begin]):
        end += 1
    found = [line.strip() for line in lines[begin:end]]
    width = max(map(len, found), default=0)
    full = all(
        len(line) + 1 + len(following.split(None, 1)[0]) > width and not _ITEM.match(following)
        for line, following in pairwise(found)
    )
    return end if full and len(found) > 1 and width >= _LEAST_WIDTH else begin + 1


def _margin(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
