"""SubRip subtitles: numbers and times stay, the lines of a cue are one text and are cut into as many lines again."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from apps.translation.markup.layout import Layout
from apps.translation.markup.marks import Mark, Part, Parts, joined, merged

_TIME = re.compile(r"\s*\d{1,3}:\d{2}:\d{2}[,.]\d{1,3}\s*-->\s*\d{1,3}:\d{2}:\d{2}[,.]\d{1,3}")
_STYLE = re.compile(r"\{\\[^{}\n]{0,100}\}")


class SubtitleText(Layout):
    """A file of subtitles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._rows: dict[Parts, int] = {}
        lines = text.splitlines(keepends=True)
        place = 0
        while place < len(lines):
            self.copy(lines[place])
            place += 1
            if _TIME.match(lines[place - 1]):
                place = self._cue(lines, place)

    def _cue(self, lines: Sequence[str], place: int) -> int:
        """Take the lines of a cue, which end at an empty one; what two people say is two texts."""
        taken: list[str] = []
        while place < len(lines) and lines[place].strip():
            if taken and lines[place].lstrip().startswith(("-", "–", "—")):
                self._text(taken)
                taken = []
            taken.append(lines[place])
            place += 1
        if taken:
            self._text(taken)
        return place

    def _text(self, lines: Sequence[str]) -> None:
        bare = " ".join(line.strip() for line in lines)
        parts = _styled(bare)
        self._rows[parts] = max(self._rows.get(parts, 0), len(lines))
        self.translate(parts)
        last = lines[-1]
        self.copy(last[len(last.rstrip("\r\n")) :])

    def written(self, translated: Sequence[Parts], finish: Callable[[Parts, Parts], str] | None = None) -> str:
        """Return the file; a cue that had two lines has two lines."""
        return super().written(translated, lambda before, after: _cut(joined(after), self._rows[before]))


def _styled(text: str) -> Parts:
    parts: list[Part] = []
    begin = 0
    for match in _STYLE.finditer(text):
        parts += [text[begin : match.start()], Mark(match.group(), "single")]
        begin = match.end()
    return merged([*parts, text[begin:]])


def _cut(text: str, rows: int) -> str:
    """Return the text in so many lines of about the same length."""
    words = text.split(" ")
    lines: list[str] = []
    while rows > 1 and len(words) > 1:
        wanted = sum(map(len, words)) + len(words) - 1
        taken = 1
        while taken < len(words) - 1 and len(" ".join(words[: taken + 1])) <= wanted / rows + 2:
            taken += 1
        lines.append(" ".join(words[:taken]))
        words, rows = words[taken:], rows - 1
    return "\n".join([*lines, " ".join(words)])
