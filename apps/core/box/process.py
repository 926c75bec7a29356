"""Starting a boxed process, and hearing from it for a bounded time."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Self, cast

ROOT = Path(__file__).resolve().parents[3]
# The child gets no secrets: nothing of our environment but what Python needs to start.
ENVIRONMENT = {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
# How soon a reading that somebody stops is stopped.
CHECK_S = 0.5
_BLOCK_BYTES = 1 << 18
Check = Callable[[], None]


def _go_on() -> None:
    """Stop for nobody."""


class BoxProcess:
    """Runs `python -m module arguments` without our environment. As a context manager it is killed on leaving."""

    def __init__(self, module: str, arguments: Sequence[str], *, descriptors: Sequence[int] = ()) -> None:
        self._buffer = bytearray()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=descriptors,
        )
        self._output = cast(IO[bytes], self._process.stdout)
        # `select` takes no descriptor above 1,023, and the web process has as many sockets as people have tabs open.
        self._poll = select.poll()
        self._poll.register(self._output, select.POLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._output.close()

    def line(self, *, timeout_s: float, max_bytes: int, check: Check = _go_on) -> bytes:
        """Return the next line without its end.

        `check` is called twice a second meanwhile, and may raise to stop. Raises TimeoutError, EOFError (the process ended),
        ValueError (too long).
        """
        until, scanned = time.monotonic() + timeout_s, 0
        while (end := self._buffer.find(b"\n", scanned)) < 0:
            scanned = len(self._buffer)
            if scanned > max_bytes:
                raise ValueError("The result is too long.")
            self._more(until, check)
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def exactly(self, count: int, *, timeout_s: float, check: Check = _go_on) -> bytes:
        """Return the next `count` bytes. Raises TimeoutError, EOFError."""
        until = time.monotonic() + timeout_s
        while len(self._buffer) < count:
            self._more(until, check)
        found = bytes(self._buffer[:count])
        del self._buffer[:count]
        return found

    def _more(self, until: float, check: Check) -> None:
        """Take what comes next."""
        while not self._poll.poll(1000 * min(CHECK_S, max(0.0, until - time.monotonic()))):
            if time.monotonic() >= until:
                raise TimeoutError
            check()
        block = os.read(self._output.fileno(), _BLOCK_BYTES)
        if not block:
            raise EOFError
        self._buffer += block
