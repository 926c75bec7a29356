"""Files in the formats that people have, taken apart into texts and put together again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Protocol

from apps.translation.markup.documents.docx import DocxDocument
from apps.translation.markup.documents.po import PoDocument
from apps.translation.markup.documents.texts import TextDocument
from apps.translation.markup.documents.types import DocumentRefused
from apps.translation.markup.html import HtmlText
from apps.translation.markup.layout import WrappedText
from apps.translation.markup.markdown import MarkdownText
from apps.translation.markup.marks import Parts
from apps.translation.markup.srt import SubtitleText


class Document(Protocol):
    """A file: the texts in it, and the file with others in their places."""

    segments: list[Parts]

    def written(self, translated: Sequence[Parts], *, target: str) -> bytes:
        """Return the file with `translated`, one for each segment."""


FORMATS: dict[str, Callable[[bytes], Document]] = {
    "txt": lambda data: TextDocument(data, WrappedText),
    "md": lambda data: TextDocument(data, MarkdownText),
    "html": lambda data: TextDocument(data, HtmlText),
    "srt": lambda data: TextDocument(data, SubtitleText),
    "docx": DocxDocument,
    "po": PoDocument,
}
_SUFFIXES = {"markdown": "md", "htm": "html", "xhtml": "html", "pot": "po", "text": "txt"}


def format_of(name: str) -> str:
    """Return the format of a file by its name. Raises DocumentRefused "unsupported_type"."""
    suffix = PurePath(name).suffix.lower().lstrip(".")
    found = _SUFFIXES.get(suffix, suffix)
    if found not in FORMATS:
        raise DocumentRefused(
            "unsupported_type", f"A document is one of {', '.join(f'.{one}' for one in FORMATS)}, by its name."
        )
    return found


def document_read(data: bytes, kind: str) -> Document:
    """Return the document in `data`. Raises DocumentRefused: unsupported_type, bomb_refused, too_large, extract_failed."""
    return FORMATS[kind](data)


__all__ = ["FORMATS", "Document", "DocumentRefused", "document_read", "format_of"]
