"""DOCX to blocks, read part by part from the zip with bounds on everything."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

from lxml import etree

from apps.documents.docx import check_archive, read_part
from apps.documents.errors import ExtractError
from apps.knowledge.extract.clean import clean_line, slugify
from apps.knowledge.extract.types import MAX_BLOCKS, MAX_TEXT_CHARS, Block, Extracted

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
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
