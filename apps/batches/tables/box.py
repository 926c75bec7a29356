"""Tables of strangers, read in a process of its own that can reach and hold little (`core/box`)."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from apps.batches.tables.survey import Survey, survey_from
from apps.batches.tables.types import MAX_PART_BYTES, Format, Preview, TableError
from apps.core.box.process import BoxProcess, Check

MEMORY_BYTES = 768 * 1024 * 1024
# Of a preview, for which somebody waits.
PREVIEW_S = 20.0
# Between two things that are heard of a table that is read: the texts of a large workbook come before its first row.
SILENCE_S = 120.0
# Of the processor, for a whole table: a million rows take a minute, a workbook of them some minutes.
CPU_S = 1800
_MAX_LINE_BYTES = 100
_MAX_VALUE_BYTES = 64 * 1024 * 1024
# Each may take 768 MB and a processor, and a thread of the web process waits for it.
_AT_ONCE = threading.BoundedSemaphore(2)
_WAIT_S = 10.0


class BoxBusy(Exception):
    """Two files are being looked at already: try again shortly."""


def table_preview_boxed(path: Path, kind: Format, *, encoding: str = "", header: bool = True) -> Preview:
    """Return the beginning of a table, as `table_preview` does.

    Limits: 20 s, 768 MB. Errors: TableError, also "extract_timeout" and "bomb_refused"; BoxBusy.
    """
    if not _AT_ONCE.acquire(timeout=_WAIT_S):
        raise BoxBusy
    try:
        step = {"step": "preview", "path": str(path), "kind": kind, "encoding": encoding, "header": header}
        value = _run(step, cpu_s=int(PREVIEW_S) + 1, silence_s=PREVIEW_S)
    finally:
        _AT_ONCE.release()
    return Preview(value["header"], value["rows"], value["encoding"], value["guess"])


def table_rows_boxed(
    path: Path,
    kind: Format,
    *,
    encoding: str,
    header: bool,
    chosen: Mapping[str, str],
    seed: int,
    max_chars: int,
    out: IO[bytes],
    report: Callable[[int], None],
) -> Survey:
    """Write a line for each row of a table to `out` and return what was seen of them.

    `report` gets the count now and then, and may raise to stop. Errors: as `table_preview_boxed`, and those of
    `rows_surveyed`.
    """
    step = {"step": "rows", "path": str(path), "kind": kind, "encoding": encoding, "header": header}
    step |= {"chosen": dict(chosen), "seed": seed, "max_chars": max_chars}

    seen = 0

    def take(content: bytes, rows: int) -> None:
        nonlocal seen
        out.write(content)
        seen = rows
        report(seen)

    # The shared texts of a workbook come before its first row: who stops the reading need not wait for one.
    found = _run(step, cpu_s=CPU_S, silence_s=SILENCE_S, take=take, check=lambda: report(seen))
    return survey_from(found)


def _run(
    step: Mapping[str, Any],
    *,
    cpu_s: int,
    silence_s: float,
    take: Callable[[bytes, int], None] = lambda content, rows: None,
    check: Check = lambda: None,
) -> Any:
    """Run the step and return its value. Raises TableError."""
    with tempfile.TemporaryFile(prefix="nlpsuite-strings-") as scratch:
        limits = [str(MEMORY_BYTES), str(cpu_s), str(MAX_PART_BYTES), str(scratch.fileno())]
        with BoxProcess("apps.batches.tables", [*limits, json.dumps(step)], descriptors=[scratch.fileno()]) as process:
            try:
                return _heard(process, silence_s, take, check)
            except TimeoutError:
                raise TableError("extract_timeout", f"Nothing was read of the file for {silence_s:.0f} s.") from None
            except EOFError:
                raise TableError("bomb_refused", "Reading the file ended the process that read it.") from None


def _heard(process: BoxProcess, silence_s: float, take: Callable[[bytes, int], None], check: Check) -> Any:
    while True:
        try:
            kind, size, rows = process.line(timeout_s=silence_s, max_bytes=_MAX_LINE_BYTES, check=check).split()
            count = int(size)
        except ValueError:
            raise TableError("malformed", "The file could not be read.") from None
        if count > _MAX_VALUE_BYTES:
            raise TableError("bomb_refused", "The file needs too much memory.")
        content = process.exactly(count, timeout_s=silence_s, check=check)
        if kind == b"R":
            take(content, int(rows))
        elif kind == b"E":
            code, message = json.loads(content)
            raise TableError(str(code), str(message))
        else:
            return json.loads(content)
