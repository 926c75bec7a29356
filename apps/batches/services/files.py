"""The files of a batch: what was uploaded, its rows one a line, and how topics are told apart.

Their names follow from the batch, so that whatever is left of a killed process is found and removed with it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

from django.core.files.base import File
from django.core.files.storage import default_storage

from apps.batches.types import InputRow

UPLOAD, ROWS, TOPICS = "upload", "rows", "topics"
_KINDS = (UPLOAD, ROWS, TOPICS)


def file_name(tenant_id: uuid.UUID, batch_id: uuid.UUID, kind: str) -> str:
    """Return the name in the storage."""
    return f"{tenant_id}/batch-{batch_id}.{kind}"


def file_save(tenant_id: uuid.UUID, batch_id: uuid.UUID, kind: str, content: IO[Any]) -> None:
    """Store a file in place of the one that is there."""
    name = file_name(tenant_id, batch_id, kind)
    default_storage.delete(name)
    default_storage.save(name, File(content, name=kind))


def file_path(tenant_id: uuid.UUID, batch_id: uuid.UUID, kind: str) -> Path:
    """Return where the file is on this machine."""
    return Path(default_storage.path(file_name(tenant_id, batch_id, kind)))


def files_delete_of(tenant_id: uuid.UUID, batch_id: uuid.UUID, kinds: Iterable[str] = _KINDS) -> None:
    """Remove files of a batch; those that are not there are no error."""
    for kind in kinds:
        default_storage.delete(file_name(tenant_id, batch_id, kind))


def lines_save(tenant_id: uuid.UUID, batch_id: uuid.UUID, kind: str, lines: Iterable[str]) -> int:
    """Store lines as they come, and return how many; none is held. What `lines` raises leaves no file behind."""
    count = 0
    with NamedTemporaryFile("w+", prefix="nlpsuite-batch-", encoding="utf-8", newline="\n") as scratch:
        for line in lines:
            scratch.write(line)
            scratch.write("\n")
            count += 1
        scratch.flush()
        with Path(scratch.name).open("rb") as content:
            file_save(tenant_id, batch_id, kind, content)
    return count


def rows_from(file: IO[bytes], *, most: int, most_chars: int) -> tuple[list[InputRow], int]:
    """Return the next rows and where the one after them begins: at most `most`, and no more text than `most_chars`
    unless the first alone has more."""
    rows: list[InputRow] = []
    chars = 0
    for line in _lines(file, most):
        row = _row(line)
        if rows and chars + len(row.text) > most_chars:
            file.seek(-len(line), 1)
            break
        rows.append(row)
        chars += len(row.text)
    return rows, file.tell()


def _lines(file: IO[bytes], most: int) -> Iterator[bytes]:
    for _ in range(most):
        line = file.readline()
        if not line:
            return
        yield line


def _row(line: bytes) -> InputRow:
    reference, source, at, text, code, message = json.loads(line)
    return InputRow(reference, source, datetime.fromisoformat(at) if at else None, text, code, message)
