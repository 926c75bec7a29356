"""Rows to a file that is sent while it is written."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from xml.sax.saxutils import escape

from apps.batches.tables.types import Format

# What a spreadsheet takes for a formula (OWASP, CSV injection); a plain number is none.
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?(e[+-]?\d+)?%?", re.IGNORECASE)
# Not allowed in XML 1.0.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
XLSX_CELL_CHARS = 32_767
Row = Mapping[str, Any]


def cell_safe(value: object) -> str:
    """Return a value as the text of a cell that no spreadsheet takes for a formula: a quote stands before those."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else str(value)
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


class Writer(Protocol):
    """Makes a file of `begin`, any number of `rows` and `end`, in this order; each returns the next bytes."""

    content_type: str

    def begin(self) -> bytes: ...

    def rows(self, rows: Sequence[Row]) -> bytes: ...

    def end(self) -> bytes: ...


class CsvWriter:
    """RFC 4180 in UTF-8."""

    content_type = "text/csv; charset=utf-8"

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns

    def _lines(self, rows: Sequence[Sequence[object]]) -> bytes:
        out = io.StringIO(newline="")
        csv.writer(out).writerows([[cell_safe(cell) for cell in row] for row in rows])
        return out.getvalue().encode("utf-8", "replace")

    def begin(self) -> bytes:
        return self._lines([self._columns])

    def rows(self, rows: Sequence[Row]) -> bytes:
        return self._lines([[_flat(row.get(name)) for name in self._columns] for row in rows])

    def end(self) -> bytes:
        return b""


class JsonlWriter:
    """A JSON object on each line; nothing is changed in it."""

    content_type = "application/x-ndjson"

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns

    def begin(self) -> bytes:
        return b""

    def rows(self, rows: Sequence[Row]) -> bytes:
        lines = [json.dumps({k: v for k, v in row.items() if v is not None}, ensure_ascii=False) for row in rows]
        return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")

    def end(self) -> bytes:
        return b""


class XlsxWriter:
    """A workbook of one sheet. Its zip is written without going back, so that it can be sent at once."""

    content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._sink = _Sink()
        self._archive = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED, compresslevel=4)
        self._sheet: Any = None

    def begin(self) -> bytes:
        for name, content in _PARTS.items():
            self._archive.writestr(name, content)
        self._sheet = self._archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True)
        self._sheet.write(_SHEET_BEGIN)
        self._sheet.write(self._row(self._columns))
        return self._sink.take()

    def rows(self, rows: Sequence[Row]) -> bytes:
        self._sheet.write(b"".join(self._row([_flat(row.get(name)) for name in self._columns]) for row in rows))
        return self._sink.take()

    def end(self) -> bytes:
        self._sheet.write(b"</sheetData></worksheet>")
        self._sheet.close()
        self._archive.close()
        return self._sink.take()

    def _row(self, cells: Sequence[object]) -> bytes:
        return f"<row>{''.join(map(_xlsx_cell, cells))}</row>".encode("utf-8", "replace")


def _xlsx_cell(value: object) -> str:
    if value is None or value == "":
        return "<c/>"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"<c><v>{value}</v></c>"
    text = _CONTROL.sub("�", cell_safe(value))
    if len(text) > XLSX_CELL_CHARS:
        text = text[: XLSX_CELL_CHARS - 1] + "…"
    return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(text)}</t></is></c>'


def _flat(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


class _Sink(io.RawIOBase):
    """Collects what is written until it is taken; it cannot go back, which zipfile respects."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


WRITERS: dict[Format, type[CsvWriter] | type[JsonlWriter] | type[XlsxWriter]] = {
    "csv": CsvWriter,
    "jsonl": JsonlWriter,
    "xlsx": XlsxWriter,
}

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_NS = "http://schemas.openxmlformats.org"
_SHEET_BEGIN = f'{_HEAD}<worksheet xmlns="{_NS}/spreadsheetml/2006/main"><sheetData>'.encode()
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS = {
    "[Content_Types].xml": f'{_HEAD}<Types xmlns="{_NS}/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>',
    "_rels/.rels": f'{_HEAD}<Relationships xmlns="{_NS}/package/2006/relationships"><Relationship Id="rId1" '
    f'Type="{_NS}/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'{_HEAD}<workbook xmlns="{_NS}/spreadsheetml/2006/main" '
    f'xmlns:r="{_NS}/officeDocument/2006/relationships"><sheets>'
    '<sheet name="Results" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'{_HEAD}<Relationships xmlns="{_NS}/package/2006/relationships"><Relationship '
    f'Id="rId1" Type="{_NS}/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/>'
    "</Relationships>",
}
