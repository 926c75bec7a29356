"""CSV and its relatives, line by line."""

from __future__ import annotations

import csv
import io
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO

from apps.batches.tables.encoding import SAMPLE_BYTES, encoding_detect
from apps.batches.tables.types import MAX_COLUMNS, MAX_LINE_CHARS, Record, Table, TableError

DELIMITERS = ",;\t|"
csv.field_size_limit(MAX_LINE_CHARS)


def lines_of(file: IO[str]) -> Iterator[str]:
    """Yield lines with their ends. Raises TableError "line_too_long": no line is held beyond the bound."""
    while line := file.readline(MAX_LINE_CHARS):
        if len(line) == MAX_LINE_CHARS and not line.endswith("\n"):
            raise TableError("line_too_long", f"A line has more than {MAX_LINE_CHARS} characters.")
        yield line


def delimiter_detect(sample: str) -> str:
    """Return the delimiter that cuts the first lines into the most columns, the same number on each."""
    best, best_score = ",", (0, 0)
    whole = sample[: sample.rfind("\n") + 1] or sample
    for delimiter in DELIMITERS:
        widths = []
        try:
            for row in csv.reader(io.StringIO(whole, newline=""), delimiter=delimiter):
                if row:
                    widths.append(len(row))
                if len(widths) == 20:
                    break
        except csv.Error:
            continue
        if widths and widths[0] > 1:
            score = (sum(width == widths[0] for width in widths), widths[0])
            best, best_score = (delimiter, score) if score > best_score else (best, best_score)
    return best


def csv_open(path: Path, *, encoding: str = "", header: bool = True) -> Table:
    """Return the table of a CSV file. Without a header the columns are called 1, 2, 3 ... Raises TableError."""
    with path.open("rb") as raw:
        head = raw.read(SAMPLE_BYTES)
    name = encoding or encoding_detect(head)
    sample = head.decode(name, "replace")
    reader = _records(path, name, delimiter_detect(sample[:65_536]))
    try:
        first = next(reader)
    except StopIteration:
        raise TableError("file_empty", "The file has no rows.") from None
    except BaseException:
        reader.close()
        raise
    if len(first) > MAX_COLUMNS:
        reader.close()
        raise TableError("too_many_columns", f"A table may have at most {MAX_COLUMNS} columns.")
    if header:
        return Table(column_names(first), reader, name)
    return Table([str(number) for number in range(1, len(first) + 1)], first_then(first, reader), name)


def first_then(first: list[str], rest: Iterator[Record]) -> Iterator[Record]:
    yield first
    yield from rest


def column_names(cells: list[str]) -> list[str]:
    """Return distinct names: an empty one is its number, a repeated one is numbered."""
    names: list[str] = []
    for number, cell in enumerate(cells, start=1):
        name = " ".join(cell.split())[:100] or str(number)
        names.append(name if name not in names else f"{name} ({number})")
    return names


def _records(path: Path, encoding: str, delimiter: str) -> Generator[list[str], None, None]:
    with path.open("r", encoding=encoding, errors="replace", newline="") as file:
        reader = csv.reader(lines_of(file), delimiter=delimiter)
        try:
            for row in reader:
                if row:
                    yield row
        except csv.Error as error:
            raise TableError(
                "malformed", f"Line {reader.line_num} cannot be read ({error}). Is a quotation mark missing?"
            ) from error
