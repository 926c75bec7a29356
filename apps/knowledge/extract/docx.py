"""DOCX to blocks, read part by part from the zip with bounds on everything."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

from lxml import etree

from apps.knowledge.extract.clean import clean_line, slugify
from apps.knowledge.extract.types import MAX_BLOCKS, MAX_TEXT_CHARS, Block, Extracted, ExtractError

MAX_ENTRIES = 4000
MAX_TOTAL_BYTES = 400 * 1024 * 1024
"""Declared size of all parts together; pictures count, although they are never read."""
MAX_PART_BYTES = 48 * 1024 * 1024
"""Inflated size of a part that is read; a 1,000-page book's document.xml is about 20 MiB."""
MAX_RATIO = 200
MAX_TAG_BYTES = 1_000_000

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MAIN_TYPES = (
    b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
    b"application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml",
)
_HEADING_NAME = re.compile(r"heading ([1-9])$", re.IGNORECASE)


def extract_docx(data: bytes, *, name: str = "") -> Extracted:
    """Return the document in `data`. A heading's anchor is its bookmark, else its slug.

    Raises ExtractError: unsupported_type (another kind of zip), bomb_refused (sizes, ratio, overlapping entries, DTD),
    encrypted, too_large, extract_failed.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            check_archive(archive)
            reader = _Reader(_styles(archive))
            with read_part(archive, "word/document.xml") as stream:
                reader.read(stream)
            title = reader.title or _core_title(archive)
    except (zipfile.BadZipFile, zlib.error, etree.XMLSyntaxError, EOFError, NotImplementedError, KeyError) as error:
        raise ExtractError("extract_failed", "The DOCX file could not be read.") from error
    top = [block.text for block in reader.blocks if block.kind == "heading" and block.level == 1]
    title = title or (top[0] if len(top) == 1 else name.rsplit(".", 1)[0])
    return Extracted(title[:300], tuple(reader.blocks), "docx", tuple(sorted(reader.flags)))


def check_archive(archive: zipfile.ZipFile) -> None:
    """Refuse what is no DOCX, or inflates beyond reason. Raises ExtractError unsupported_type, bomb_refused, encrypted."""
    entries = archive.infolist()
    names = {entry.filename for entry in entries}
    if "[Content_Types].xml" not in names or "word/document.xml" not in names:
        raise ExtractError("unsupported_type", "The archive is not a DOCX document.")
    if len(entries) > MAX_ENTRIES or len(names) != len(entries):
        raise ExtractError("bomb_refused", "The archive has too many or repeated entries.")
    if sum(entry.file_size for entry in entries) > MAX_TOTAL_BYTES:
        raise ExtractError("bomb_refused", "The archive inflates past the limit.")
    end = 0
    for entry in sorted(entries, key=lambda e: e.header_offset):
        if entry.header_offset < end:
            raise ExtractError("bomb_refused", "Entries of the archive overlap.")
        end = entry.header_offset + 30 + entry.compress_size
        if entry.file_size > 1_000_000 and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
            raise ExtractError("bomb_refused", "An entry of the archive is compressed beyond reason.")
    with read_part(archive, "[Content_Types].xml") as stream:
        if not any(kind in stream.read() for kind in _MAIN_TYPES):
            raise ExtractError("unsupported_type", "The archive is not a DOCX document.")


def read_part(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """Return the part's bytes, bounded and checked: no DTD (so no entities), UTF-8 only (so the check sees it)."""
    info = archive.getinfo(name)
    if info.flag_bits & 0x1:
        raise ExtractError("encrypted", "The archive is encrypted.")
    with archive.open(info) as stream:
        data = stream.read(MAX_PART_BYTES + 1)
    if len(data) > MAX_PART_BYTES:
        raise ExtractError("bomb_refused", "A part of the archive inflates past the limit.")
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data or data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:64]:
        raise ExtractError("bomb_refused", "A part of the archive declares entities or is not UTF-8.")
    _check_tags(data)
    return io.BytesIO(data)


def _check_tags(data: bytes) -> None:
    """Refuse a tag of more than a megabyte: a million attributes cost the parser thirty times their size."""
    start = 0
    while (end := data.find(b">", start)) >= 0:
        if end - start > MAX_TAG_BYTES:
            break
        start = end + 1
    if max(end, len(data)) - start > MAX_TAG_BYTES:
        raise ExtractError("bomb_refused", "A part of the archive has a tag of unreasonable size.")


def _parse(stream: IO[bytes], *tags: str) -> Iterator[Any]:
    """Yield complete elements of the given names and free them afterwards: memory does not grow with the part."""
    events = etree.iterparse(
        stream, events=("end",), tag=tags, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    for _, element in events:
        yield element


def _styles(archive: zipfile.ZipFile) -> dict[str, int]:
    """Style id -> heading level; level 0 is the document's title."""
    if "word/styles.xml" not in archive.namelist():
        return {}
    levels: dict[str, int] = {}
    with read_part(archive, "word/styles.xml") as stream:
        for style in _parse(stream, f"{_W}style"):
            label = style.find(f"{_W}name")
            written = label.get(f"{_W}val", "") if label is not None else ""
            outline = style.find(f"{_W}pPr/{_W}outlineLvl")
            if found := _HEADING_NAME.match(written):
                levels[style.get(f"{_W}styleId", "")] = min(int(found[1]), 6)
            elif written.lower() == "title":
                levels[style.get(f"{_W}styleId", "")] = 0
            elif outline is not None and (outline.get(f"{_W}val") or "9") < "6":
                levels[style.get(f"{_W}styleId", "")] = int(outline.get(f"{_W}val")) + 1
    return levels


def _core_title(archive: zipfile.ZipFile) -> str:
    if "docProps/core.xml" not in archive.namelist():
        return ""
    with read_part(archive, "docProps/core.xml") as stream:
        for element in _parse(stream, "{http://purl.org/dc/elements/1.1/}title"):
            return clean_line(element.text or "")
    return ""


class _Reader:
    """One pass over document.xml: body paragraphs and tables in order."""

    def __init__(self, heading_styles: dict[str, int]) -> None:
        self.blocks: list[Block] = []
        self.flags: set[str] = set()
        self.title = ""
        self._styles = heading_styles
        self._used: dict[str, int] = {}
        self._anchor = ""
        self._total_chars = 0

    def read(self, stream: IO[bytes]) -> None:
        for element in _parse(stream, f"{_W}p", f"{_W}tbl"):
            if any(True for _ in element.iterancestors(f"{_W}tbl", f"{_W}p")):
                continue  # part of a table or a text box: read with the outermost one
            if element.tag == f"{_W}p":
                self._paragraph(element)
            else:
                for row in element.iterchildren(f"{_W}tr"):
                    cells = (self._text(cell).replace("\n", " ") for cell in row.iterchildren(f"{_W}tc"))
                    self._emit("row", " | ".join(cell for cell in cells if cell))
            element.clear(keep_tail=False)

    def _paragraph(self, paragraph: Any) -> None:
        text = self._text(paragraph)
        if not text:
            return
        level = self._level(paragraph)
        if level == 0:
            self.title = self.title or text.replace("\n", " ")
        elif level:
            heading = text.replace("\n", " ")[:300]
            self._anchor = self._bookmark(paragraph) or slugify(heading, self._used)
            self._emit("heading", heading, level)
        elif (number := paragraph.find(f"{_W}pPr/{_W}numPr")) is not None:
            depth = number.find(f"{_W}ilvl")
            self._emit("item", text, 1 + int((depth.get(f"{_W}val") if depth is not None else "0") or 0))
        else:
            self._emit("text", text)

    def _level(self, paragraph: Any) -> int | None:
        properties = paragraph.find(f"{_W}pPr")
        if properties is None:
            return None
        outline = properties.find(f"{_W}outlineLvl")
        if outline is not None and (outline.get(f"{_W}val") or "9") < "6":
            return int(outline.get(f"{_W}val")) + 1
        style = properties.find(f"{_W}pStyle")
        return self._styles.get(style.get(f"{_W}val", "")) if style is not None else None

    def _bookmark(self, paragraph: Any) -> str:
        names = (mark.get(f"{_W}name", "") for mark in paragraph.iter(f"{_W}bookmarkStart"))
        return next((name for name in names if name and not name.startswith("_")), "")

    def _text(self, element: Any) -> str:
        parts: list[str] = []
        for node in element.iter(f"{_W}t", f"{_W}tab", f"{_W}br", f"{_W}cr", f"{_W}p"):
            if node.tag == f"{_W}p":
                parts.append("\n" if parts else "")
            elif node.tag == f"{_W}t":
                if not self._left_out(node):
                    parts.append(node.text or "")
            else:
                parts.append("\n" if node.tag != f"{_W}tab" else " ")
        return clean_line("".join(parts))

    def _left_out(self, node: Any) -> bool:
        """Hidden runs, white runs, and the fallback copy of a text box."""
        if any(
            True for _ in node.iterancestors("{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback")
        ):
            return True
        run = node.getparent()
        properties = run.find(f"{_W}rPr") if run is not None else None
        if properties is None:
            return False
        vanish, color = properties.find(f"{_W}vanish"), properties.find(f"{_W}color")
        hidden = vanish is not None and vanish.get(f"{_W}val", "1") not in ("0", "false", "off")
        shaded = properties.find(f"{_W}shd") is not None or properties.find(f"{_W}highlight") is not None
        white = color is not None and (color.get(f"{_W}val") or "").upper() == "FFFFFF" and not shaded
        if hidden or white:
            self.flags.add("hidden_text")
        return hidden or white

    def _emit(self, kind: Any, text: str, level: int = 0) -> None:
        if not text:
            return
        self._total_chars += len(text)
        if self._total_chars > MAX_TEXT_CHARS or len(self.blocks) >= MAX_BLOCKS:
            raise ExtractError("too_large", "The document has too much text.")
        self.blocks.append(Block(kind=kind, text=text, level=level, anchor=self._anchor))
