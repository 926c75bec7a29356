"""The batch's upload to its file of rows, read in the box."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile

from apps.batches.models import Batch
from apps.batches.numbers import MAX_SOURCES, bucket_floor, unit_for
from apps.batches.services.files import ROWS, UPLOAD, file_path, file_save
from apps.batches.tables.box import table_rows_boxed
from apps.batches.tables.survey import Survey
from apps.batches.tables.types import TableError
from apps.core.tenancy import connection_release
from apps.translation.types import MAX_CHARS

REPORT_EVERY_S = 1.0
Report = Callable[[int], None]


def rows_read(batch: Batch, *, report: Report) -> Survey:
    """Write the batch's upload as its file of rows and return what was seen. `report` gets the count now and then, and
    may raise to stop. Raises TableError: too_many_rows, file_empty, extract_timeout, bomb_refused, and what the file itself
    is refused for."""
    connection_release()
    with NamedTemporaryFile("w+b", prefix="nlpsuite-batch-") as scratch:
        survey = table_rows_boxed(
            file_path(batch.tenant_id, batch.id, UPLOAD),
            batch.format,  # type: ignore[arg-type]
            encoding=batch.encoding,
            header=batch.columns.get("has_header", True),
            chosen=batch.columns["chosen"],
            seed=batch.id.int,
            max_chars=MAX_CHARS,
            out=scratch,
            report=_now_and_then(report),
        )
        if not survey.total:
            raise TableError("file_empty", "The file has no rows.")
        scratch.flush()
        with Path(scratch.name).open("rb") as content:
            file_save(batch.tenant_id, batch.id, ROWS, content)
    return survey


def survey_apply(survey: Survey, batch: Batch) -> None:
    """Write into the batch what its rows and cells will refer to."""
    batch.total = survey.total
    batch.sources = [name for name, _ in survey.sources.most_common(MAX_SOURCES)]
    if survey.first is not None and survey.last is not None:
        batch.bucket_unit = unit_for(survey.first, survey.last)
        batch.bucket_start = bucket_floor(survey.first, batch.bucket_unit)


def _now_and_then(report: Report) -> Report:
    reported = time.monotonic()

    def seldom(rows: int) -> None:
        nonlocal reported
        if time.monotonic() - reported > REPORT_EVERY_S:
            reported = time.monotonic()
            report(rows)

    return seldom
