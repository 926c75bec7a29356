"""A file to the batch's rows: columns chosen, times understood, everything counted that charts need to know before."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from apps.analysis.batches.numbers import MAX_SOURCES, bucket_floor, plain_name, unit_for
from apps.analysis.batches.types import InputRow
from apps.analysis.models import Batch
from apps.analysis.services.batches.files import ROWS, UPLOAD, file_path, lines_save, row_line
from apps.analysis.tables.read import table_open
from apps.analysis.tables.times import time_parse
from apps.analysis.tables.types import MAX_ROWS, Record, RowProblem, TableError
from apps.analysis.types import MAX_CHARS

SAMPLE_ROWS = 2_000
SAMPLE_CHARS = 1_000
REPORT_EVERY_S = 1.0
_MAX_COUNTED_SOURCES = 20_000
_FIELD_CHARS = 200
Report = Callable[[int], None]


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

    def apply(self, batch: Batch) -> None:
        """Write into the batch what its rows and cells will refer to."""
        batch.total = self.total
        batch.sources = [name for name, _ in self.sources.most_common(MAX_SOURCES)]
        if self.first is not None and self.last is not None:
            batch.bucket_unit = unit_for(self.first, self.last)
            batch.bucket_start = bucket_floor(self.first, batch.bucket_unit)


def rows_read(batch: Batch, *, report: Report) -> Survey:
    """Write the batch's upload as its file of rows and return what was seen. `report` gets the count now and then, and
    may raise to stop. Raises TableError: too_many_rows, file_empty, and what the file itself is refused for."""
    survey = Survey()
    dice = random.Random(batch.id.int)  # noqa: S311  (the same rows make the same sample)
    lines_save(batch.tenant_id, batch.id, ROWS, _lines(batch, survey, dice, report))
    if not survey.total:
        raise TableError("file_empty", "The file has no rows.")
    return survey


def _lines(batch: Batch, survey: Survey, dice: random.Random, report: Report) -> Iterator[str]:
    reported = time.monotonic()
    for row in _rows(batch):
        survey.add(row, dice)
        if survey.total > MAX_ROWS:
            raise TableError("too_many_rows", f"A batch may have at most {MAX_ROWS} rows.")
        if time.monotonic() - reported > REPORT_EVERY_S:
            reported = time.monotonic()
            report(survey.total)
        yield row_line(row)


def _rows(batch: Batch) -> Iterator[InputRow]:
    path = file_path(batch.tenant_id, batch.id, UPLOAD)
    columns = batch.columns
    table = table_open(path, batch.format, encoding=batch.encoding, header=columns.get("has_header", True))  # type: ignore[arg-type]
    places = {role: table.header.index(name) for role, name in columns["chosen"].items() if name in table.header}
    for record in table.records:
        yield _row(record, places)


def _row(record: Record, places: dict[str, int]) -> InputRow:
    if isinstance(record, RowProblem):
        return InputRow("", "", None, "", record.code, record.message)

    def cell(role: str) -> str:
        place = places.get(role, -1)
        return storable(record[place]) if 0 <= place < len(record) else ""

    # One character more than a task takes, so that the task says of a longer text what it says elsewhere.
    text = cell("text")[: MAX_CHARS + 1]
    return InputRow(cell("reference")[:_FIELD_CHARS], cell("source")[:_FIELD_CHARS], time_parse(cell("time")), text)


def storable(text: str) -> str:
    """Return the text without what PostgreSQL keeps in no column: NUL and lone surrogates."""
    return text.replace("\x00", "�").encode("utf-8", "replace").decode("utf-8")
