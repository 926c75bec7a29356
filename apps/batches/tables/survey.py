"""A table to the rows of a batch: columns chosen, times understood, everything counted that charts need to know before.

Runs in the box (`__main__.py`): no Django.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from apps.batches.numbers import plain_name
from apps.batches.tables.times import time_parse
from apps.batches.tables.types import MAX_ROWS, Record, RowProblem, Table, TableError
from apps.batches.types import InputRow

SAMPLE_ROWS = 2_000
SAMPLE_CHARS = 1_000
_MAX_COUNTED_SOURCES = 20_000
_FIELD_CHARS = 200


@dataclass(slots=True)
class Survey:
    """What was seen of all rows. `sample` holds texts drawn evenly from them (reservoir sampling, Vitter 1985)."""

    total: int = 0
    first: datetime | None = None
    last: datetime | None = None
    sources: Counter[str] = field(default_factory=Counter)
    sample: list[str] = field(default_factory=list)

    def add(self, row: InputRow, dice: random.Random) -> None:
        """Count a row."""
        self.total += 1
        if row.at is not None:
            self.first = row.at if self.first is None else min(self.first, row.at)
            self.last = row.at if self.last is None else max(self.last, row.at)
        name = plain_name(row.source)
        if name and (name in self.sources or len(self.sources) < _MAX_COUNTED_SOURCES):
            self.sources[name] += 1
        place = len(self.sample) if len(self.sample) < SAMPLE_ROWS else dice.randrange(self.total)
        if row.text.strip() and place < SAMPLE_ROWS:
            text = row.text[:SAMPLE_CHARS]
            if place == len(self.sample):
                self.sample.append(text)
            else:
                self.sample[place] = text

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, from which `survey_from` makes the same again."""
        first, last = (at.isoformat() if at else "" for at in (self.first, self.last))
        return {
            "total": self.total,
            "first": first,
            "last": last,
            "sources": dict(self.sources),
            "sample": self.sample,
        }


def survey_from(values: Mapping[str, Any]) -> Survey:
    """Return the survey that `as_dict` wrote."""
    first, last = (datetime.fromisoformat(values[name]) if values[name] else None for name in ("first", "last"))
    return Survey(int(values["total"]), first, last, Counter(values["sources"]), list(values["sample"]))


def rows_surveyed(
    table: Table, chosen: Mapping[str, str], survey: Survey, *, seed: int, max_chars: int
) -> Iterator[str]:
    """Yield a line for each row, and count it in `survey`; the same rows and seed make the same sample.

    `chosen` is {role: name of a column}. Raises TableError: too_many_rows, and what the table itself is refused for.
    """
    dice = random.Random(seed)  # noqa: S311  (no secret)
    places = {role: table.header.index(name) for role, name in chosen.items() if name in table.header}
    for record in table.records:
        row = _row(record, places, max_chars)
        survey.add(row, dice)
        if survey.total > MAX_ROWS:
            raise TableError("too_many_rows", f"A batch may have at most {MAX_ROWS} rows.")
        yield row_line(row)


def _row(record: Record, places: dict[str, int], max_chars: int) -> InputRow:
    if isinstance(record, RowProblem):
        return InputRow("", "", None, "", record.code, record.message)

    def cell(role: str) -> str:
        place = places.get(role, -1)
        return storable(record[place]) if 0 <= place < len(record) else ""

    # One character more than a task takes, so that the task says of a longer text what it says elsewhere.
    text = cell("text")[: max_chars + 1]
    return InputRow(cell("reference")[:_FIELD_CHARS], cell("source")[:_FIELD_CHARS], time_parse(cell("time")), text)


def row_line(row: InputRow) -> str:
    """Return a row as a line of the file of rows."""
    at = row.at.isoformat() if row.at else ""
    return json.dumps([row.reference, row.source, at, row.text, row.code, row.message], ensure_ascii=False)


def storable(text: str) -> str:
    """Return the text without what PostgreSQL keeps in no column: NUL and lone surrogates."""
    return text.replace("\x00", "�").encode("utf-8", "replace").decode("utf-8")
