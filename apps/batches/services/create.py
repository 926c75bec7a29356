"""Taking a file or items in, and starting the work on them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.conf import settings

from apps.batches.access import access_batch_by_id
from apps.batches.models import Batch
from apps.batches.selectors.batches import batch_get
from apps.batches.services.files import UPLOAD, file_path, file_save, files_delete_of, lines_save
from apps.batches.tables.box import BoxBusy, table_preview_boxed
from apps.batches.tables.encoding import encoding_known
from apps.batches.tables.read import format_of
from apps.batches.tables.survey import storable
from apps.batches.tables.types import MAX_ROWS, TableError
from apps.batches.types import ACTIVE, ROLES, BatchInfo
from apps.core.clock import now
from apps.core.errors import Busy, Conflict, Invalid, TooLarge
from apps.core.tenancy import connection_release, tenant_scope
from apps.events.services import audit_record
from apps.jobs.services import job_enqueue
from apps.nlp.services.running import options_parse, task_get

# Kept from the app that it came from: jobs that wait, and processes of the version before, know it by this name.
RUN = "analysis.batch_run"
QUEUE = "batch"
# Of one organisation: those that wait, run or have not been started.
MAX_OPEN = 50
# Of one organisation, kept rows; beyond it old batches must go first.
MAX_KEPT_ROWS = 10_000_000
# What a file's format is told by; no more of it is read outside the box.
_HEAD_BYTES = 4096
ITEM_FIELDS = {"text", "time", "source", "id"}
Item = str | Mapping[str, Any]


@dataclass(slots=True)
class Upload:
    """A file that is stored and was looked at, and the batch that it may become."""

    batch: Batch
    kept: bool = False


@contextmanager
def upload_taken(
    *, tenant_id: uuid.UUID, file: Any, name: str = "", encoding: str = "", actor: str = ""
) -> Iterator[Upload]:
    """Store a file and look at its first rows, in the box and in no transaction. `file` is Django's upload.

    On leaving, a file that has become no batch is removed.
    Limits: BATCH_MAX_FILE_BYTES, 20 s; two files are looked at at a time. Errors: Invalid (unsupported_type, malformed,
    file_empty, encrypted, bomb_refused, extract_timeout, line_too_long, encoding_unknown), TooLarge, Busy
    "too_many_batches", "busy", Conflict "batch_storage_full".
    """
    if encoding and not encoding_known(encoding):
        raise Invalid("There is no encoding of this name.", code="encoding_unknown")
    if file.size > settings.BATCH_MAX_FILE_BYTES:
        raise TooLarge(f"A file has at most {settings.BATCH_MAX_FILE_BYTES // 1024**2} MiB.")
    label = " ".join(storable(str(name or file.name or "")).split())[:200] or "Batch"
    upload = Upload(Batch(name=label, upload_name=UPLOAD, upload_bytes=file.size, created_by=actor))
    with tenant_scope(tenant_id):
        _room_check(tenant_id)
    connection_release()
    try:
        _look(tenant_id, upload.batch, file, encoding)
        yield upload
    except BaseException:
        upload.kept = False
        raise
    finally:
        if not upload.kept:
            files_delete_of(tenant_id, upload.batch.id)


def _look(tenant_id: uuid.UUID, batch: Batch, file: Any, encoding: str) -> None:
    """Store the file and fill in format, encoding and columns."""
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    try:
        kind = format_of(str(file.name or ""), head)
        file_save(tenant_id, batch.id, UPLOAD, getattr(file, "file", file))
        preview = table_preview_boxed(file_path(tenant_id, batch.id, UPLOAD), kind, encoding=encoding)
    except TableError as error:
        raise Invalid(error.message, code=error.code) from error
    except BoxBusy:
        raise Busy("Other files are being read. Try again shortly.", retry_after_s=3) from None
    batch.format, batch.encoding = kind, preview.encoding
    rows = [[storable(cell) for cell in row] for row in preview.rows]
    header = [storable(column) for column in preview.header]
    batch.columns = {"header": header, "rows": rows, "guess": preview.guess}


def batch_upload(*, tenant_id: uuid.UUID, upload: Upload) -> BatchInfo:
    """Keep a file as a draft, with its columns and first rows in `columns`. Errors: Busy "too_many_batches", Conflict."""
    with tenant_scope(tenant_id):
        _room_check(tenant_id)
        upload.batch.save()
        upload.kept = True
    return batch_get(tenant_id=tenant_id, batch_id=upload.batch.id)


def batch_start(
    *,
    tenant_id: uuid.UUID,
    batch_id: object,
    task: str,
    options: Mapping[str, Any],
    columns: Mapping[str, str],
    has_header: bool = True,
    topics: bool = True,
    actor: str = "",
) -> BatchInfo:
    """Choose a draft's task and columns ({"text", "time"?, "source"?, "reference"?: name}) and put it in the queue.

    Errors: NotFound (batch_not_found, task_not_found), Invalid (options_invalid, column_missing, column_unknown),
    Conflict "batch_started".
    """
    with tenant_scope(tenant_id):
        batch = access_batch_by_id(tenant_id, batch_id, lock=True)
        if batch.status != Batch.Status.DRAFT:
            raise Conflict("The batch was started before.", code="batch_started")
        options_parse(task_get(task), options)
        batch.columns["chosen"] = _chosen(batch.columns, columns, has_header)
        batch.columns["has_header"] = has_header
        batch.task, batch.options, batch.wants_topics = task, dict(options), topics
        batch.started_at = now()
        batch_enqueue(batch)
        batch.save()
        audit_record(action="batch.started", actor=actor, target=str(batch.id), data={"task": task, "name": batch.name})
    return batch_get(tenant_id=tenant_id, batch_id=batch.id)


def batch_enqueue(batch: Batch) -> None:
    """Give the batch a new job in the open scope; the caller saves it."""
    payload = {"batch_id": str(batch.id)}
    batch.status, batch.error_code, batch.error_message = Batch.Status.QUEUED, "", ""
    batch.job_id = job_enqueue(tenant_id=batch.tenant_id, kind=RUN, payload=payload, queue=QUEUE)


def batch_create_from_items(
    *,
    tenant_id: uuid.UUID,
    task: str,
    items: Sequence[Item],
    options: Mapping[str, Any] | None = None,
    name: str = "",
    topics: bool = True,
    actor: str = "",
) -> BatchInfo:
    """Start a batch of items: texts, or objects with `text` and optionally `id`, `time` and `source`.

    Errors: as `batch_start`; Invalid (items_missing, item_invalid), TooLarge "too_many_rows".
    """
    if not items:
        raise Invalid("A batch needs at least one item.", code="items_missing")
    if len(items) > MAX_ROWS:
        raise TooLarge(f"A batch may have at most {MAX_ROWS} rows.", code="too_many_rows")
    options_parse(task_get(task), options or {})
    batch = Batch(name=storable(name).strip()[:200] or task, format="jsonl", upload_name=UPLOAD, created_by=actor)
    with tenant_scope(tenant_id):
        _room_check(tenant_id)
        try:
            lines_save(tenant_id, batch.id, UPLOAD, _item_lines(items))
            batch.columns = {"header": ["text", "time", "source", "id"], "rows": [], "guess": {}}
            batch.save()
            chosen = {"text": "text", "time": "time", "source": "source", "reference": "id"}
            return batch_start(
                tenant_id=tenant_id,
                batch_id=batch.id,
                task=task,
                options=options or {},
                columns=chosen,
                topics=topics,
                actor=actor,
            )
        except BaseException:
            files_delete_of(tenant_id, batch.id)
            raise


def batch_create_from_file(
    *,
    tenant_id: uuid.UUID,
    task: str,
    upload: Upload,
    columns: Mapping[str, str],
    options: Mapping[str, Any] | None = None,
    has_header: bool = True,
    topics: bool = True,
    actor: str = "",
) -> BatchInfo:
    """Start a batch of a file's rows. Errors: those of `batch_upload` and `batch_start`; then no batch is left."""
    options_parse(task_get(task), options or {})
    with tenant_scope(tenant_id):
        batch_upload(tenant_id=tenant_id, upload=upload)
        return batch_start(
            tenant_id=tenant_id,
            batch_id=upload.batch.id,
            task=task,
            options=options or {},
            columns=columns,
            has_header=has_header,
            topics=topics,
            actor=actor,
        )


def _room_check(tenant_id: uuid.UUID) -> None:
    """Raise unless the organisation may have one more batch."""
    open_ = Batch.objects.filter(status__in=[*ACTIVE, Batch.Status.DRAFT]).count()
    if open_ >= MAX_OPEN:
        raise Busy(
            f"{MAX_OPEN} batches wait or run already. Wait for one to end, or remove drafts.",
            code="too_many_batches",
            retry_after_s=60,
        )
    kept = sum(Batch.objects.exclude(status=Batch.Status.DELETING).values_list("total", flat=True))
    if kept >= MAX_KEPT_ROWS:
        raise Conflict(
            f"{MAX_KEPT_ROWS} rows are kept already. Delete batches that are not needed any more.",
            code="batch_storage_full",
        )


def _chosen(columns: Mapping[str, Any], wanted: Mapping[str, str], has_header: bool) -> dict[str, str]:
    """Return the column of each role. Raises Invalid naming the columns that there are."""
    header: list[str] = columns["header"]
    if not has_header:
        header = [str(number) for number in range(1, len(header) + 1)]
    chosen = {role: wanted[role] for role in ROLES if wanted.get(role)}
    unknown = [name for name in chosen.values() if name not in header]
    if unknown:
        raise Invalid(
            f"The file has no column {unknown[0]!r}.", code="column_unknown", details={"columns": header[:100]}
        )
    if "text" not in chosen:
        if len(header) == 1 or "text" in header:
            return chosen | {"text": header[0] if len(header) == 1 else "text"}
        raise Invalid("Say which column holds the texts.", code="column_missing", details={"columns": header[:100]})
    return chosen


def _item_lines(items: Iterable[Item]) -> Iterator[str]:
    for number, item in enumerate(islice(items, MAX_ROWS)):
        fields = {"text": item} if isinstance(item, str) else dict(item)
        known = set(fields) <= ITEM_FIELDS and isinstance(fields.get("text"), str)
        if not known or not all(isinstance(value, str | int | float | None) for value in fields.values()):
            raise Invalid(
                f"Item {number} is neither a text nor an object with text and optionally id, time and source.",
                code="item_invalid",
                details={"item": number},
            )
        yield json.dumps({name: fields.get(name) for name in ("text", "time", "source", "id")}, ensure_ascii=True)
