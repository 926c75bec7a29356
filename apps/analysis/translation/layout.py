"""Texts as what is copied and what is translated."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from apps.analysis.translation.marks import Parts, joined

# Beyond it a document is no text for people.
MAX_SEGMENTS = 50_000


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
