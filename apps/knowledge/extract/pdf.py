"""PDF to blocks: text by page, headings from the outline, running headers and footers left out."""

from __future__ import annotations

import io
import logging
import re
from collections import Counter
from typing import Any

import pypdf
from pypdf.errors import DependencyError, LimitReachedError, PyPdfError

from apps.documents.errors import ExtractError
from apps.knowledge.extract.clean import clean_line
from apps.knowledge.extract.types import MAX_TEXT_CHARS, Block, Extracted

MAX_PAGES = 3000
MAX_STREAM_BYTES = 24 * 1024 * 1024
"""Decompressed size of one stream. Text streams of real pages stay under 2 MiB."""

_DIGITS = re.compile(r"\d+")
_SENTENCE_END = re.compile(r"[.!?:;。！？]['\")\]]*$")
_SECTION_NUMBER = re.compile(r"^(?:chapter\s+)?[\dA-Z]{1,3}(?:\.\d{1,3}){0,5}[.:]?\s+", re.IGNORECASE)
_LEADERS = re.compile(r"(?:\.\s?){5,}|…{2,}")
_BULLET = re.compile(r"^(?:[-–•·▪◦*]|\d{1,3}[.)])\s+(?=\S)")

logging.getLogger("pypdf").setLevel(logging.CRITICAL)


_LIMITS: dict[str, Any] = {
    "maximum_declared_stream_length": MAX_STREAM_BYTES,
    "array_based_stream_maximum_output_length": MAX_STREAM_BYTES,
    "zlib_maximum_output_length": MAX_STREAM_BYTES,
    "lzw_maximum_output_length": MAX_STREAM_BYTES,
    "run_length_maximum_output_length": MAX_STREAM_BYTES,
    "brotli_maximum_output_length": MAX_STREAM_BYTES,
    "stream_decoding_work_maximum_length": 3 * MAX_STREAM_BYTES,
    "stream_parsing_work_maximum_count": 500_000,
    "outline_maximum_entries": 20_000,
    "page_tree_maximum_entries": 20_000,
    "jbig2dec_binary": None,
}


def extract_pdf(data: bytes, *, name: str = "") -> Extracted:
    """Return the document in `data`; blocks of page n carry the anchor `page-n`.

    Raises ExtractError: encrypted (a password is needed), bomb_refused (a stream inflates past its bound),
    too_large (pages, text), extract_failed (broken, or only pictures).
    """
    try:
        pypdf.overwrite_configuration(**_LIMITS)
        reader = pypdf.PdfReader(io.BytesIO(data), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise ExtractError("encrypted", "The PDF needs a password.")
        if len(reader.pages) > MAX_PAGES:
            raise ExtractError("too_large", f"The PDF has more than {MAX_PAGES} pages.")
        pages = _page_lines(reader)
        outline = _outline(reader)
        title = clean_line(str(reader.metadata.get("/Title") or "")) if reader.metadata else ""
    except ExtractError:
        raise
    except LimitReachedError as error:
        raise ExtractError("bomb_refused", "A stream of the PDF inflates past the limit.") from error
    except DependencyError as error:
        raise ExtractError("encrypted", "The PDF is encrypted.") from error
    except (PyPdfError, RecursionError, ValueError, KeyError, TypeError, AttributeError, IndexError, OSError) as error:
        raise ExtractError("extract_failed", "The PDF could not be read.") from error
    blocks = _blocks(_without_running_lines(pages), outline)
    if not any(block.kind != "heading" for block in blocks):
        raise ExtractError("extract_failed", "The PDF holds no text (a scan?).")
    return Extracted(title=(title or name.rsplit(".", 1)[0])[:300], blocks=tuple(blocks), format="pdf")


def _page_lines(reader: pypdf.PdfReader) -> list[list[str]]:
    pages, total = [], 0
    for page in reader.pages:
        text = page.extract_text() or ""
        total += len(text)
        if total > MAX_TEXT_CHARS:
            raise ExtractError("too_large", "The document has too much text.")
        # Dot leaders mark a table of contents: its lines would outrank the sections they name.
        pages.append([clean_line(line) for line in text.split("\n") if not _LEADERS.search(line)])
    return pages


def _outline(reader: pypdf.PdfReader) -> dict[int, list[tuple[int, str]]]:
    """Page index -> (level, title) of the bookmarks that lead there; empty when there are none or they are broken."""
    found: dict[int, list[tuple[int, str]]] = {}

    def visit(items: list[Any], level: int) -> None:
        for item in items:
            if isinstance(item, list):
                if level < 6:
                    visit(item, level + 1)
                continue
            page = reader.get_destination_page_number(item)
            if page is not None and page >= 0:
                found.setdefault(page, []).append((level, clean_line(str(item.title))[:300]))

    try:
        visit(reader.outline, 1)
    except LimitReachedError:
        raise
    except Exception:  # noqa: BLE001 a broken outline costs the headings, not the document
        return {}
    return found


def _without_running_lines(pages: list[list[str]]) -> list[list[str]]:
    """Drop first and last lines that repeat, page numbers aside, on more than half of the pages (four or more)."""
    filled = [[line for line in page if line] for page in pages]
    edges = Counter(key for page in filled for key in {_DIGITS.sub("#", line) for line in [*page[:1], *page[-1:]]})
    running = {key for key, count in edges.items() if len(pages) >= 4 and count > len(pages) / 2}
    result = []
    for page in pages:
        at = [i for i, line in enumerate(page) if line]
        drop = {i for i in [*at[:1], *at[-1:]] if _DIGITS.sub("#", page[i]) in running}
        result.append([line for i, line in enumerate(page) if i not in drop])
    return result


def _blocks(pages: list[list[str]], outline: dict[int, list[tuple[int, str]]]) -> list[Block]:
    blocks: list[Block] = []
    for index, lines in enumerate(pages):
        anchor = f"page-{index + 1}"
        waiting = {_key(title): (level, title) for level, title in outline.get(index, []) if title}
        placed = {_key(line) for line in lines} & waiting.keys()
        for key in [key for key in waiting if key not in placed]:
            blocks.append(Block("heading", waiting[key][1], waiting[key][0], anchor))
        _page_blocks(blocks, lines, {key: waiting[key] for key in placed}, anchor)
    return blocks


def _page_blocks(blocks: list[Block], lines: list[str], headings: dict[str, tuple[int, str]], anchor: str) -> None:
    paragraph: list[str] = []
    item = False
    width = max(map(len, lines), default=0)

    def flush() -> None:
        if paragraph:
            text = _join(paragraph)
            blocks.append(Block("item", text, 1, anchor) if item else Block("text", text, 0, anchor))
            paragraph.clear()

    for line in lines:
        found = headings.pop(_key(line), None)
        bullet = _BULLET.match(line)
        if found or bullet or not line:
            flush()
            item = False
        if found:
            blocks.append(Block("heading", found[1], found[0], anchor))
        elif bullet:
            item = True
            paragraph.append(line[bullet.end() :])
        elif line:
            paragraph.append(line)
            # PDF text has no paragraphs: a short line that ends a sentence ends one.
            if len(line) < width * 0.75 and _SENTENCE_END.search(line):
                flush()
                item = False
    flush()


def _key(text: str) -> str:
    """What a bookmark and its heading in the text have in common: bookmarks often lack the section number."""
    return "".join(c for c in _SECTION_NUMBER.sub("", text).lower() if c.isalnum())


def _join(lines: list[str]) -> str:
    text = lines[0]
    for line in lines[1:]:
        if text.endswith("-") and line[:1].islower() and text[-2:-1].isalpha():
            text = text[:-1] + line
        elif text and line and "\u2e80" <= text[-1] <= "\uffee" and "\u2e80" <= line[0] <= "\uffee":
            text += line
        else:
            text += " " + line
    return text
