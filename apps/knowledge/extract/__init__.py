"""Files to text blocks. Imports neither Django nor any model library: it runs in a process of its own (box.py)."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from apps.documents.errors import ExtractError
from apps.knowledge.extract.sniff import decode, sniff
from apps.knowledge.extract.types import Block, Extracted

__all__ = ["Block", "ExtractError", "Extracted", "extract_bytes", "extract_file", "page_links"]

MAX_FILE_BYTES = 64 * 1024 * 1024
"""More is never read, whatever the configured upload limit."""


def extract_file(path: str | os.PathLike[str], name: str, *, charset: str = "") -> Extracted:
    """Return the document stored at `path`, known to its owner as `name`.

    `charset` is the one a server declared, if any. Runs in the calling process: use `box.extract_boxed` for files that
    strangers sent. Raises ExtractError.
    """
    file = Path(path)
    if file.stat().st_size > MAX_FILE_BYTES:
        raise ExtractError("too_large", "The file is too large.")
    return extract_bytes(file.read_bytes(), name, charset=charset)


def page_links(path: str, charset: str = "", *, limit: int = 3000) -> list[str]:
    """Return the first `limit` links of the HTML file at `path`, as written in it."""
    from apps.knowledge.extract.html import links_of

    return list(islice(links_of(Path(path).read_bytes(), charset=charset), limit))


def extract_bytes(data: bytes, name: str, *, charset: str = "") -> Extracted:
    """Return the document in `data`. The readers are imported on use: the process starts in a tenth of a second."""
    kind = sniff(data, name)
    try:
        return _read(kind, data, name, charset)
    except RecursionError as error:
        raise ExtractError("extract_failed", "The document is nested too deeply.") from error
    except MemoryError as error:
        raise ExtractError("bomb_refused", "The document needs too much memory.") from error


def _read(kind: str, data: bytes, name: str, charset: str) -> Extracted:
    if kind == "pdf":
        from apps.knowledge.extract.pdf import extract_pdf

        return extract_pdf(data, name=name)
    if kind == "docx":
        from apps.knowledge.extract.docx import extract_docx

        return extract_docx(data, name=name)
    if kind == "html":
        from apps.knowledge.extract.html import extract_html

        return extract_html(data, charset=charset)
    if kind == "markdown":
        from apps.knowledge.extract.markdown import extract_markdown

        return extract_markdown(decode(data, declared=charset))
    from apps.knowledge.extract.plain import extract_plain

    return extract_plain(decode(data, declared=charset), name=name)
