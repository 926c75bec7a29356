"""Documents of strangers, taken apart and put together in a process of its own that can reach and hold little."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from apps.core.box.process import CHECK_S, ENVIRONMENT, ROOT
from apps.translation.markup.documents.types import DocumentRefused
from apps.translation.markup.marks import Mark, Part, Parts

MEMORY_BYTES = 768 * 1024 * 1024
TIMEOUT_S = 60.0


class BoxedDocument:
    """The document at `path`; each of its two steps runs in a process of its own, which starts in a third of a second.

    Errors: DocumentRefused, also "extract_timeout" after 60 s, and "bomb_refused" for one that needs more than 768 MiB.
    `check` is called twice a second meanwhile and may raise to stop.
    """

    def __init__(self, path: str, kind: str, *, check: Callable[[], None] = lambda: None) -> None:
        self._path, self._kind, self._check = path, kind, check
        found = json.loads(self._run("read", "", b""))
        self.segments: list[Parts] = [parts_from(one) for one in found["segments"]]

    def written(self, translated: Sequence[Parts], *, target: str) -> bytes:
        """Return the file with `translated`, one for each segment."""
        plain = json.dumps([parts_plain(parts) for parts in translated])
        return self._run("write", target, plain.encode())

    def _run(self, step: str, target: str, given: bytes) -> bytes:
        limits = [str(MEMORY_BYTES), str(int(TIMEOUT_S))]
        command = [sys.executable, "-m", "apps.translation.markup", *limits, step, self._kind, self._path, target]
        try:
            status, told = self._ended(command, given)
        except subprocess.TimeoutExpired:
            raise DocumentRefused(
                "extract_timeout", f"Reading the document took longer than {TIMEOUT_S:.0f} s."
            ) from None
        state, _, body = told.partition(b"\n")
        if status or state not in (b"ok", b"refused"):
            raise DocumentRefused("bomb_refused", "Reading the document ended the process that read it.")
        if state == b"refused":
            code, message = json.loads(body)
            raise DocumentRefused(code, message)
        return body

    def _ended(self, command: Sequence[str], given: bytes) -> tuple[int, bytes]:
        """Run the process to its end, and the check twice a second; returns its status and what it said.

        Raises subprocess.TimeoutExpired, and what the check raises: the process is killed then.
        """
        until, waiting = time.monotonic() + TIMEOUT_S, given
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            try:
                while True:
                    try:
                        left_s = max(0.0, until - time.monotonic())
                        told, _ = process.communicate(waiting, timeout=min(CHECK_S, left_s))
                        return process.returncode, told
                    except subprocess.TimeoutExpired:
                        waiting = b""  # what was given is on its way; Python refuses to be given it twice
                        if time.monotonic() >= until:
                            raise
                        self._check()
            finally:
                process.kill()


def parts_plain(parts: Parts) -> list[Any]:
    """Return parts as JSON takes them: a string, or the four values of a mark."""
    return [part if isinstance(part, str) else [part.raw, part.kind, part.pair, part.term] for part in parts]


def parts_from(values: Sequence[Any]) -> Parts:
    """Return the parts that `parts_plain` wrote."""
    made: list[Part] = [value if isinstance(value, str) else Mark(*value) for value in values]
    return tuple(made)
