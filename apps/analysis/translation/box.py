"""Documents of strangers, taken apart and put together in a process of its own that can reach and hold little."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from apps.analysis.translation.documents.types import DocumentRefused
from apps.analysis.translation.marks import Mark, Part, Parts
from apps.core.box.process import ENVIRONMENT, ROOT

MEMORY_BYTES = 768 * 1024 * 1024
TIMEOUT_S = 60.0


class BoxedDocument:
    """The document at `path`; each of its two steps runs in a process of its own, which starts in a third of a second.

    Errors: DocumentRefused, also "extract_timeout" after 60 s, and "bomb_refused" for one that needs more than 768 MiB.
    """

    def __init__(self, path: str, kind: str) -> None:
        self._path, self._kind = path, kind
        found = json.loads(self._run("read", "", b""))
        self.segments: list[Parts] = [parts_from(one) for one in found["segments"]]

    def written(self, translated: Sequence[Parts], *, target: str) -> bytes:
        """Return the file with `translated`, one for each segment."""
        plain = json.dumps([parts_plain(parts) for parts in translated])
        return self._run("write", target, plain.encode())

    def _run(self, step: str, target: str, given: bytes) -> bytes:
        limits = [str(MEMORY_BYTES), str(int(TIMEOUT_S))]
        command = [sys.executable, "-m", "apps.analysis.translation", *limits, step, self._kind, self._path, target]
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=ENVIRONMENT,
                input=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=TIMEOUT_S,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DocumentRefused(
                "extract_timeout", f"Reading the document took longer than {TIMEOUT_S:.0f} s."
            ) from None
        state, _, body = done.stdout.partition(b"\n")
        if done.returncode or state not in (b"ok", b"refused"):
            raise DocumentRefused("bomb_refused", "Reading the document ended the process that read it.")
        if state == b"refused":
            code, message = json.loads(body)
            raise DocumentRefused(code, message)
        return body


def parts_plain(parts: Parts) -> list[Any]:
    """Return parts as JSON takes them: a string, or the four values of a mark."""
    return [part if isinstance(part, str) else [part.raw, part.kind, part.pair, part.term] for part in parts]


def parts_from(values: Sequence[Any]) -> Parts:
    """Return the parts that `parts_plain` wrote."""
    made: list[Part] = [value if isinstance(value, str) else Mark(*value) for value in values]
    return tuple(made)
