"""Documents that are text: they come back in UTF-8, with their byte order mark and line ends."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence

from apps.documents.encoding import decode
from apps.documents.errors import ExtractError
from apps.translation.markup.documents.types import MAX_TEXT_CHARS, DocumentRefused, too_long
from apps.translation.markup.layout import Layout, TooManySegments
from apps.translation.markup.marks import Parts


def text_of(data: bytes) -> str:
    """Return the text of a file. Raises DocumentRefused."""
    try:
        text = decode(data)
    except ExtractError as error:
        raise DocumentRefused(error.code, error.message) from error
    if len(text) > MAX_TEXT_CHARS:
        raise too_long()
    return text


class TextDocument:
    """A text file, by the layout of its format."""

    def __init__(self, data: bytes, layout: Callable[[str], Layout]) -> None:
        self._mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
        try:
            self._layout = layout(text_of(data))
        except TooManySegments:
            raise too_long() from None
        self.segments = self._layout.segments

    def written(self, translated: Sequence[Parts], *, target: str) -> bytes:
        """Return the file."""
        return self._mark + self._layout.written(translated).encode("utf-8", "replace")
