"""JSON lines: an object or a string on each line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from apps.batches.tables.delimited import lines_of
from apps.batches.tables.encoding import SAMPLE_BYTES, encoding_detect
from apps.batches.tables.types import MAX_COLUMNS, Record, RowProblem, Table, TableError

_HEADER_LINES = 100
_MAX_DEPTH_ERRORS = (ValueError, RecursionError)


def jsonl_open(path: Path, *, encoding: str = "") -> Table:
    """Return the table of a JSON-lines file; its columns are the keys of the first 100 lines. Raises TableError."""
    with path.open("rb") as raw:
        name = encoding or encoding_detect(raw.read(SAMPLE_BYTES))
    header: dict[str, None] = {}
    seen = 0
    for line in _lines(path, name):
        seen += 1
        value = _parse(line)
        header.update(dict.fromkeys(value if isinstance(value, dict) else {"text": None}))
        if seen == _HEADER_LINES or len(header) > MAX_COLUMNS:
            break
    if not seen:
        raise TableError("file_empty", "The file has no rows.")
    names = list(header)[:MAX_COLUMNS]
    return Table(names, _records(path, name, names), name)


def _lines(path: Path, encoding: str) -> Iterator[str]:
    with path.open("r", encoding=encoding, errors="replace", newline="\n") as file:
        for line in lines_of(file):
            if line.strip():
                yield line


def _parse(line: str) -> Any:
    """Return an object, a string, or None for what is neither."""
    try:
        value = json.loads(line)
    except _MAX_DEPTH_ERRORS:
        return None
    return value if isinstance(value, dict | str) else None


def _records(path: Path, encoding: str, names: list[str]) -> Iterator[Record]:
    for line in _lines(path, encoding):
        value = _parse(line)
        if value is None:
            yield RowProblem("line_invalid", "The line is neither a JSON object nor a JSON string.")
            continue
        fields = value if isinstance(value, dict) else {"text": value}
        yield [cell_text(fields.get(name)) for name in names]


def cell_text(value: Any) -> str:
    """Return a JSON value as the text of a cell."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
