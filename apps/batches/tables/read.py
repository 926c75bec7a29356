"""A file to its rows, whatever its format."""

from __future__ import annotations

import zipfile
from itertools import islice
from pathlib import Path

from apps.batches.tables.delimited import csv_open
from apps.batches.tables.jsonl import jsonl_open
from apps.batches.tables.times import time_parse
from apps.batches.tables.types import Format, Preview, Table, TableError

PREVIEW_ROWS = 20
PREVIEW_STRINGS = 100_000
_TEXT_NAMES = (
    "text",
    "message",
    "body",
    "content",
    "comment",
    "review",
    "description",
    "question",
    "文本",
    "内容",
    "评论",
)
_TIME_NAMES = ("created_at", "timestamp", "datetime", "date", "day", "time", "when", "created", "at", "时间", "日期")
_SOURCE_NAMES = (
    "source",
    "channel",
    "shop",
    "store",
    "product",
    "category",
    "brand",
    "country",
    "store",
    "来源",
    "渠道",
)
_REFERENCE_NAMES = ("id", "reference", "ref", "key", "ticket", "nr", "编号")
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"


def format_of(name: str, head: bytes) -> Format:
    """Return the format of a file from its beginning and its name. Raises TableError "unsupported_type", "encrypted"."""
    suffix = Path(name).suffix.lower()
    if head.startswith(_ZIP):
        return "xlsx"
    if head.startswith(_OLE):
        if suffix == ".xlsx":
            raise TableError("encrypted", "The file is protected by a password.")
        raise TableError("unsupported_type", "Old Excel files cannot be read. Save it as XLSX or CSV.")
    if suffix in {".jsonl", ".ndjson", ".json"}:
        return "jsonl"
    if suffix in {".xlsx", ".pdf", ".docx", ".zip", ".gz", ".png", ".jpg"}:
        raise TableError("unsupported_type", "A batch reads CSV, JSON lines or XLSX.")
    if not suffix and head.lstrip()[:1] == b"{":
        return "jsonl"
    return "csv"


def table_open(
    path: Path,
    kind: Format,
    *,
    encoding: str = "",
    header: bool = True,
    max_strings: int | None = None,
    scratch: int = -1,
) -> Table:
    """Return the table in a file. Raises TableError, here or while its rows are read.

    Runs in the calling process: use `box.table_rows_boxed` for files of strangers. `scratch` is a descriptor to write to,
    for a process that may open no file.
    """
    if kind == "jsonl":
        return jsonl_open(path, encoding=encoding)
    if kind == "xlsx":
        # Takes half a second to import, which who reads CSV need not wait for.
        from apps.batches.tables.workbook import xlsx_open

        return xlsx_open(path, header=header, max_strings=max_strings, scratch=scratch)
    return csv_open(path, encoding=encoding, header=header)


def table_preview(path: Path, kind: Format, *, encoding: str = "", header: bool = True, scratch: int = -1) -> Preview:
    """Return the first rows, each cell cut to 300 characters, and which column is probably what. Raises TableError.

    Runs in the calling process: use `box.table_preview_boxed` for files of strangers.
    """
    if kind == "xlsx" and not zipfile.is_zipfile(path):
        raise TableError("malformed", "The workbook cannot be read. Save it again as XLSX, or as CSV.")
    table = table_open(path, kind, encoding=encoding, header=header, max_strings=PREVIEW_STRINGS, scratch=scratch)
    width = len(table.header)
    rows = []
    for record in islice(table.records, PREVIEW_ROWS):
        cells = record if isinstance(record, list) else []
        rows.append([cell[:300] for cell in (cells + [""] * width)[:width]])
    return Preview(table.header, rows, table.encoding, _guess(table.header, rows))


def _guess(header: list[str], rows: list[list[str]]) -> dict[str, str]:
    """Return {"text", "time", "source", "reference": name of a column} as far as something speaks for one."""
    guess = {}
    for role, names in (("time", _TIME_NAMES), ("source", _SOURCE_NAMES), ("reference", _REFERENCE_NAMES)):
        named = next((column for column in header if column.lower() in names), "")
        if named and (role != "time" or _are_times(header.index(named), rows)):
            guess[role] = named
    named = next((column for name in _TEXT_NAMES for column in header if column.lower() == name), "")
    free = [column for column in header if column not in guess.values()] or header
    text = named or max(free, key=lambda column: _length(header.index(column), rows), default="")
    return guess | ({"text": text} if text else {})


def _length(column: int, rows: list[list[str]]) -> int:
    return sum(len(row[column]) for row in rows)


def _are_times(column: int, rows: list[list[str]]) -> bool:
    cells = [row[column] for row in rows if row[column].strip()]
    return bool(cells) and all(time_parse(cell) is not None for cell in cells)
