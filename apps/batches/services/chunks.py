"""A few rows: what the task makes of them, and writing that down with the counts."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from django.db import connection

from apps.batches.facts import Facts, facts_of
from apps.batches.models import Batch, BatchRow
from apps.batches.numbers import ERROR, MAX_LABELS, NONE, OTHER, bucket_number, plain_name
from apps.batches.types import InputRow
from apps.core.errors import AppError, Busy, Cancelled, DeadlineExceeded, Unavailable
from apps.core.ids import new_id
from apps.core.tenancy import connection_release
from apps.inference.services import calls_in_flight, permits_in_use
from apps.nlp.services.running import nlp_run

log = structlog.get_logger(__name__)
DEADLINE_S = 120.0
# How long a chunk waits for room beside more urgent work before its job is given back.
PATIENCE_S = 300.0
_LONGEST_PAUSE_S = 5.0
# How long a chunk lets replies, drafts and calls of programs pass before it goes on all the same. Whoever was there a
# moment ago is probably about to ask again, and would meet a chunk that has begun.
GIVE_WAY_S = 2.0
QUIET_S = 1.0
_LOOK_EVERY_S = 0.02
_NOT_NOW = (Busy, Unavailable, DeadlineExceeded)
Result = dict[str, Any]
Check = Callable[[], None]


class Topics(Protocol):
    """Tells texts apart."""

    def assign(self, texts: Sequence[str]) -> list[int]: ...


@dataclass(slots=True)
class Chunk:
    """Rows from `position` on; the row after them begins at `offset`."""

    position: int
    offset: int
    rows: list[InputRow]
    results: list[Result] = field(default_factory=list)
    topics: list[int] = field(default_factory=list)


# -- computing -------------------------------------------------------------------------------------------------------
def chunk_compute(batch: Batch, chunk: Chunk, *, topics: Topics | None, check: Check) -> None:
    """Fill in one result and one topic for each row. Raises Busy, Unavailable or DeadlineExceeded when the models have
    no room for long, and what `check` raises."""
    connection_release()
    _courtesy.give_way(check)
    usable = [index for index, row in enumerate(chunk.rows) if not row.code]
    chunk.results = [_error(row.code, row.message) for row in chunk.rows]
    for index, result in zip(usable, _run(batch, [chunk.rows[i].text for i in usable], check), strict=True):
        chunk.results[index] = result
    texts = [row.text for row in chunk.rows]
    chunk.topics = topics.assign(texts) if topics is not None else [NONE] * len(texts)


class _Courtesy:
    """Waits while somebody uses a model, for a short time: the processor has no classes of work, people do."""

    def __init__(self) -> None:
        self._seen = -QUIET_S

    def give_way(self, check: Check) -> None:
        """Return when it has been quiet for a while, or after GIVE_WAY_S."""
        give_up = time.monotonic() + GIVE_WAY_S
        while self._busy() and time.monotonic() < give_up:
            check()
            connection_release()
            time.sleep(_LOOK_EVERY_S)

    def _busy(self) -> bool:
        now = time.monotonic()
        try:
            if permits_in_use() or any(n for name, n in calls_in_flight().items() if name != "batch"):
                self._seen = now
        except Unavailable:
            return False
        return now - self._seen < QUIET_S


_courtesy = _Courtesy()


def _run(batch: Batch, texts: list[str], check: Check) -> list[Result]:
    """Return a result for each text. What is refused for all of them together is found out one by one."""
    if not texts:
        return []
    try:
        return _patient(batch, texts, check)
    except (*_NOT_NOW, Cancelled):
        raise
    except AppError as error:
        if len(texts) == 1:
            return [_error(error.code, str(error.message))]
    except Exception:
        log.exception("batch.chunk_failed", batch_id=str(batch.id), task=batch.task)
        if len(texts) == 1:
            return [_error("internal", "The text could not be processed.")]
    half = len(texts) // 2
    return _run(batch, texts[:half], check) + _run(batch, texts[half:], check)


def _patient(batch: Batch, texts: list[str], check: Check) -> list[Result]:
    give_up = time.monotonic() + PATIENCE_S
    while True:
        check()
        connection_release()
        try:
            return nlp_run(
                tenant_id=batch.tenant_id,
                task=batch.task,
                texts=texts,
                options=batch.options,
                priority="batch",
                deadline_s=DEADLINE_S,
            )
        except _NOT_NOW as error:
            # People come first: a batch waits for its turn.
            if time.monotonic() > give_up:
                raise
            time.sleep(min(error.retry_after_s or 1.0, _LONGEST_PAUSE_S))


def _error(code: str, message: str) -> Result:
    return {"error": {"code": code, "message": message}}


# -- writing ---------------------------------------------------------------------------------------------------------
def chunk_commit(batch: Batch, chunk: Chunk) -> None:
    """Write rows, counts and the new position in the caller's transaction, in which it has locked the batch."""
    rows = [_stored(batch, chunk, index) for index in range(len(chunk.rows))]
    BatchRow.objects.bulk_create(rows)
    _cells_add(batch, rows)
    batch.position += len(rows)
    batch.offset = chunk.offset
    batch.failed += sum(row.label_no == ERROR for row in rows)
    batch.save(update_fields=["position", "offset", "failed", "labels", "rate_per_s"])


def _stored(batch: Batch, chunk: Chunk, index: int) -> BatchRow:
    row, result = chunk.rows[index], chunk.results[index]
    failed = "error" in result
    facts = Facts("", None, "") if failed else facts_of(batch.task, result)
    source = plain_name(row.source)
    start = batch.bucket_start
    return BatchRow(
        tenant_id=batch.tenant_id,
        batch=batch,
        position=chunk.position + index,
        reference=row.reference,
        source=row.source,
        at=row.at,
        text=row.text,
        result=result,
        output=facts.output.replace("\x00", "�"),
        score=facts.score,
        label_no=ERROR if failed else _number(facts.label, batch.labels, MAX_LABELS),
        source_no=batch.sources.index(source) if source in batch.sources else OTHER if source else NONE,
        topic_no=chunk.topics[index],
        bucket_no=bucket_number(row.at, batch.bucket_unit, start) if row.at and start else NONE,
    )


def _number(label: str, labels: list[str], most: int) -> int:
    """Return the label's number, a new one for a new label while there is room."""
    name = plain_name(label)
    if not name:
        return NONE
    if name not in labels:
        if len(labels) >= most:
            return OTHER
        labels.append(name)
    return labels.index(name)


_ADD = """
INSERT INTO analysis_batchcell AS cell
  (id, tenant_id, batch_id, label_no, source_no, topic_no, bucket_no, rows, scored, score_sum)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::int2[], %s::int2[], %s::int2[], %s::int4[], %s::int8[],
                     %s::int8[], %s::float8[])
ON CONFLICT (tenant_id, batch_id, label_no, source_no, topic_no, bucket_no) DO UPDATE SET
  rows = cell.rows + EXCLUDED.rows,
  scored = cell.scored + EXCLUDED.scored,
  score_sum = cell.score_sum + EXCLUDED.score_sum
"""


def _cells_add(batch: Batch, rows: Sequence[BatchRow]) -> None:
    """Add the rows to the counts that charts are drawn from."""
    cells: defaultdict[tuple[int, int, int, int], list[float]] = defaultdict(lambda: [0, 0, 0.0])
    for row in rows:
        cell = cells[row.label_no, row.source_no, row.topic_no, row.bucket_no]
        cell[0] += 1
        cell[1] += row.score is not None
        cell[2] += row.score or 0.0
    # In the order of the key: chunks of two workers that meet here take the same way.
    keys = sorted(cells)
    count = len(keys)
    columns: list[list[Any]] = [
        [new_id() for _ in keys],
        [batch.tenant_id] * count,
        [batch.id] * count,
        *[[key[place] for key in keys] for place in range(4)],
        *[[cells[key][place] for key in keys] for place in range(3)],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_ADD, columns)
