"""Plain values and bounds of tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Format = Literal["csv", "jsonl", "xlsx"]
FORMATS: tuple[Format, ...] = ("csv", "jsonl", "xlsx")

MAX_ROWS = 1_000_000
MAX_COLUMNS = 500
# Of one line, and of one cell: what a reader holds in memory at a time. A text that a task takes is far shorter.
MAX_LINE_CHARS = 8_000_000
# Inflated, of one part of a workbook: a million rows of twenty cells are less. Texts that cells share take as much of a
# scratch file at most.
MAX_PART_BYTES = 1024**3


class TableError(Exception):
    """The file as a whole cannot be read."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A row that cannot be read, while those around it can."""

    code: str
    message: str


Record = list[str] | RowProblem


@dataclass(slots=True)
class Table:
    """The names of the columns, and the rows in order: as many cells as there are columns, or fewer."""

    header: list[str]
    records: Iterator[Record]
    encoding: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """The beginning of a table, and which column is probably what."""

    header: list[str]
    rows: list[list[str]]
    encoding: str
    guess: dict[str, str] = field(default_factory=dict)
