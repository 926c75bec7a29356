"""The boxed process that reads tables.

Arguments: memory limit in bytes, CPU limit in seconds, limit of the scratch file in bytes and its descriptor, the step as
JSON. stdout is frames: a letter, a number of bytes and a number of rows in a line, then the bytes.
`R` holds lines of rows, read so far `rows`; `V` the preview or the survey as JSON, and is the last; `E` is the refusal,
code and message as JSON.
"""

from __future__ import annotations

import errno
import json
import sys
import time
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from apps.batches.tables.read import table_open, table_preview
from apps.batches.tables.survey import Survey, rows_surveyed
from apps.batches.tables.types import TableError
from apps.core.box.closing import close_the_box

_BLOCK_CHARS = 256 * 1024
# A parent that hears nothing for long ends this process.
_SAY_EVERY_S = 0.5


def _frame(kind: str, content: bytes, rows: int = 0) -> None:
    out = sys.stdout.buffer
    out.write(f"{kind} {len(content)} {rows}\n".encode())
    out.write(content)
    out.flush()


def _preview(step: dict[str, Any], scratch: int) -> dict[str, Any]:
    found = table_preview(
        Path(step["path"]), step["kind"], encoding=step["encoding"], header=step["header"], scratch=scratch
    )
    return asdict(found)


def _rows(step: dict[str, Any], scratch: int) -> dict[str, Any]:
    table = table_open(
        Path(step["path"]), step["kind"], encoding=step["encoding"], header=step["header"], scratch=scratch
    )
    survey = Survey()
    lines: list[str] = []
    held, said = 0, time.monotonic()
    for line in rows_surveyed(table, step["chosen"], survey, seed=step["seed"], max_chars=step["max_chars"]):
        lines.append(line)
        held += len(line)
        if held >= _BLOCK_CHARS or time.monotonic() - said > _SAY_EVERY_S:
            _frame("R", _content(lines), survey.total)
            lines, held, said = [], 0, time.monotonic()
    _frame("R", _content(lines), survey.total)
    return survey.as_dict()


def _content(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def main(arguments: list[str]) -> int:
    """Do the step; whatever a parser raises is a refusal of the file."""
    memory, cpu, scratch_bytes, scratch, given = arguments
    step = json.loads(given)
    if step["kind"] == "xlsx":
        # Its libraries read files of the system while they are imported.
        import_module("apps.batches.tables.workbook")
    close_the_box(int(memory), int(cpu), [step["path"]], scratch_bytes=int(scratch_bytes))
    try:
        value = (_preview if step["step"] == "preview" else _rows)(step, int(scratch))
    except TableError as error:
        refusal = (error.code, error.message)
    except MemoryError:
        refusal = ("bomb_refused", "The file needs too much memory.")
    except OSError as error:
        full = error.errno in (errno.EFBIG, errno.ENOSPC, errno.ENOMEM)
        refusal = ("bomb_refused" if full else "malformed", "The file could not be read.")
    except Exception:  # noqa: BLE001  (hostile input)
        refusal = ("malformed", "The file could not be read.")
    else:
        _frame("V", json.dumps(value).encode())
        return 0
    _frame("E", json.dumps(refusal).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
