"""XLSX, read row by row: of the file no more than one row and the places of its texts are in memory.

Texts that cells share stand in a part of their own, which can be as large as the sheet; it is copied to a scratch file and
looked up there. openpyxl, which keeps them in a list, is used for what it knows of dates.
"""

from __future__ import annotations

import os
import posixpath
import tempfile
import zipfile
import zlib
from array import array
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from lxml import etree
from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format
from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900, from_excel

from apps.batches.tables.delimited import column_names, first_then
from apps.batches.tables.types import MAX_COLUMNS, MAX_PART_BYTES, MAX_ROWS, Record, Table, TableError

MAX_ENTRIES = 4_000
MAX_SMALL_PART_BYTES = 16 * 1024**2
# A sheet may hold empty rows around its rows.
_MAX_ROW_ELEMENTS = 2 * MAX_ROWS
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_BROKEN = (zipfile.BadZipFile, zlib.error, etree.XMLSyntaxError, EOFError, NotImplementedError, KeyError, ValueError)


def xlsx_open(path: Path, *, header: bool = True, max_strings: int | None = None, scratch: int = -1) -> Table:
    """Return the table on the first sheet. `max_strings` bounds how many shared texts are read, for a preview.

    Raises TableError: malformed, encrypted, bomb_refused, file_empty.
    """
    records = _sheet(path, max_strings, scratch)
    try:
        first = next(records)
    except StopIteration:
        raise TableError("file_empty", "The first sheet has no rows.") from None
    if header:
        return Table(column_names(first), records, "")
    return Table([str(number) for number in range(1, len(first) + 1)], first_then(first, records), "")


def _sheet(path: Path, max_strings: int | None, descriptor: int) -> Iterator[Any]:
    try:
        with zipfile.ZipFile(path) as archive, _scratch(descriptor) as scratch:
            _check(archive)
            book = _Book(archive)
            strings = _strings(archive, scratch, max_strings)
            with archive.open(book.sheet) as part:
                yield from _rows(part, strings, book)
    except RuntimeError as error:  # what zipfile raises for an entry with a password
        raise TableError("encrypted", "The file is protected by a password.") from error
    except _BROKEN as error:
        raise TableError("malformed", "The workbook cannot be read. Save it again as XLSX, or as CSV.") from error


def _scratch(descriptor: int) -> IO[bytes]:
    """Return an empty file to write to: the one that the boxed process was given, or a new one."""
    if descriptor < 0:
        return tempfile.TemporaryFile(prefix="nlpsuite-strings-")
    return os.fdopen(os.dup(descriptor), "r+b")


def _check(archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    names = {entry.filename for entry in entries}
    if "xl/workbook.xml" not in names:
        raise TableError("unsupported_type", "The archive is not an XLSX workbook.")
    if len(entries) > MAX_ENTRIES or len(names) != len(entries):
        raise TableError("bomb_refused", "The archive has too many or repeated entries.")
    if any(entry.file_size > MAX_PART_BYTES for entry in entries):
        raise TableError("bomb_refused", "A part of the archive inflates to more than a sheet may have.")


def _events(part: IO[bytes], *tags: str) -> Iterator[Any]:
    """Yield the elements when they end, each emptied after: no more than one is in memory."""
    parser = etree.iterparse(part, events=("end",), tag=tags, resolve_entities=False, no_network=True, huge_tree=False)
    for _, element in parser:
        yield element
        element.clear()
        parent = element.getparent()
        while element.getprevious() is not None:
            del parent[0]


def _small(archive: zipfile.ZipFile, name: str) -> Any:
    """Return the root of a part that has no business being large, or None when it is not there."""
    with suppress(KeyError):
        if archive.getinfo(name).file_size > MAX_SMALL_PART_BYTES:
            raise TableError("bomb_refused", "A part of the archive inflates to more than it should.")
        with archive.open(name) as part:
            parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
            return etree.fromstring(part.read(MAX_SMALL_PART_BYTES + 1), parser)
    return None


class _Book:
    """Where the first sheet is, which styles are dates, and from when days are counted."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        root = _small(archive, "xl/workbook.xml")
        properties = root.find(f"{_MAIN}workbookPr")
        old = properties is not None and properties.get("date1904") in {"1", "true"}
        self.epoch = CALENDAR_MAC_1904 if old else CALENDAR_WINDOWS_1900
        self.sheet = self._first_sheet(archive, root)
        self.dates = self._date_styles(archive)

    def _first_sheet(self, archive: zipfile.ZipFile, root: Any) -> str:
        relations = _small(archive, "xl/_rels/workbook.xml.rels")
        targets = {} if relations is None else {item.get("Id"): item.get("Target") for item in relations}
        for sheet in root.iter(f"{_MAIN}sheet"):
            target = targets.get(sheet.get(_RELATION)) or ""
            name = posixpath.normpath(posixpath.join("xl", target)) if not target.startswith("/") else target[1:]
            if "worksheets" in name:
                return name
        raise TableError("file_empty", "The workbook has no sheet.")

    def _date_styles(self, archive: zipfile.ZipFile) -> frozenset[int]:
        root = _small(archive, "xl/styles.xml")
        if root is None:
            return frozenset()
        codes = dict(BUILTIN_FORMATS)
        codes |= {int(one.get("numFmtId")): one.get("formatCode") or "" for one in root.iter(f"{_MAIN}numFmt")}
        styles = root.find(f"{_MAIN}cellXfs")
        formats = [] if styles is None else [int(one.get("numFmtId") or 0) for one in styles]
        return frozenset(at for at, number in enumerate(formats) if is_date_format(codes.get(number, "")))


class _Strings:
    """Shared texts in a file; only where each begins is in memory (8 bytes a text)."""

    def __init__(self, offsets: array[int], descriptor: int) -> None:
        self._offsets, self._descriptor = offsets, descriptor

    def get(self, index: int) -> str:
        if not 0 <= index < len(self._offsets) - 1:
            return ""
        # Not mapped: a map counts as memory of the process, which has less than the file may have.
        begin = self._offsets[index]
        return os.pread(self._descriptor, self._offsets[index + 1] - begin, begin).decode("utf-8")


def _strings(archive: zipfile.ZipFile, scratch: IO[bytes], most: int | None) -> _Strings:
    offsets, at = array("Q", [0]), 0
    with suppress(KeyError), archive.open("xl/sharedStrings.xml") as part:
        for element in _events(part, f"{_MAIN}si"):
            at += scratch.write(_rich_text(element).encode("utf-8"))
            offsets.append(at)
            if most is not None and len(offsets) > most:
                break
    scratch.flush()
    return _Strings(offsets, scratch.fileno())


def _rich_text(element: Any) -> str:
    """Return the text of all runs, without the reading aids of East Asian text."""
    parts = [
        node.text or ""
        for node in element.iter(f"{_MAIN}t")
        if node.getparent() is None or node.getparent().tag != f"{_MAIN}rPh"
    ]
    return "".join(parts)


def _rows(part: IO[bytes], strings: _Strings, book: _Book) -> Iterator[Record]:
    cells: list[str] = []
    elements = 0
    for element in _events(part, f"{_MAIN}c", f"{_MAIN}row"):
        if element.tag == f"{_MAIN}row":
            elements += 1
            if any(cell.strip() for cell in cells):
                yield cells
            cells = []
            if elements > _MAX_ROW_ELEMENTS:
                raise TableError("bomb_refused", "The sheet has too many rows.")
            continue
        column = _column(element.get("r")) if element.get("r") else len(cells)
        if column < MAX_COLUMNS:
            cells.extend([""] * (column + 1 - len(cells)))
            cells[column] = _value(element, strings, book)


def _column(reference: str) -> int:
    """Return the number of the column of a cell reference: A1 -> 0, AA7 -> 26."""
    number = 0
    for letter in reference.upper()[:4]:
        if not "A" <= letter <= "Z":
            break
        number = number * 26 + ord(letter) - 64
    return max(0, number - 1)


def _value(cell: Any, strings: _Strings, book: _Book) -> str:
    kind = cell.get("t", "n")
    if kind == "inlineStr":
        return _rich_text(cell)
    raw = cell.findtext(f"{_MAIN}v") or ""
    if kind == "s":
        return strings.get(int(raw)) if raw.isdigit() else ""
    if kind == "b":
        return "TRUE" if raw == "1" else "FALSE"
    style = cell.get("s")
    if kind == "n" and raw and style and int(style) in book.dates:
        with suppress(ValueError, OverflowError, TypeError):
            return str(from_excel(float(raw), book.epoch).isoformat())
    return raw
