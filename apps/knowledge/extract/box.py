"""Extraction in a process of its own, bounded in memory, time, disk and reach: parsers meet hostile files there."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self, cast

from apps.knowledge.chunking import ChunkDraft
from apps.knowledge.extract.types import ExtractError

MEMORY_BYTES = 512 * 1024 * 1024
TIMEOUT_S = 30.0
"""Wall-clock limit of one file; the process's CPU limit is the same per file."""
MAX_LINE_BYTES = 160 * 1024 * 1024
FILES_PER_PROCESS = 16
# How soon a reading that somebody stops is stopped.
CHECK_S = 0.5

_ROOT = Path(__file__).resolve().parents[3]
# The child gets no secrets: nothing of our environment but what Python needs to start.
_ENVIRONMENT = {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True, slots=True)
class BoxFile:
    """A file to read: where it is, what its owner calls it, the charset its server declared and a title, if any."""

    path: str
    name: str
    charset: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class BoxDocument:
    """A document's title, format, flags and passages, and the links of a page when they were asked for."""

    title: str
    format: str
    flags: tuple[str, ...]
    chunks: tuple[ChunkDraft, ...]
    links: tuple[str, ...] = ()


def extract_boxed(
    files: Sequence[BoxFile],
    *,
    with_links: bool = False,
    timeout_s: float = TIMEOUT_S,
    memory_bytes: int = MEMORY_BYTES,
    check: Callable[[], None] = lambda: None,
) -> Iterator[BoxDocument | ExtractError]:
    """Yield, in order, the document or the refusal of every file.

    Up to 16 files share a process (it starts in 0.1 s); the process is killed when a file takes longer than `timeout_s`
    and the rest goes on in a new one. Nothing is raised for a bad file. `check` is called twice a second while a file is
    read and may raise to stop: the process is killed then.
    """
    done = 0
    while done < len(files):
        batch = files[done : done + FILES_PER_PROCESS]
        with _Child(batch, with_links=with_links, timeout_s=timeout_s, memory_bytes=memory_bytes) as child:
            for _ in batch:
                result = child.next_result(check)
                yield result
                done += 1
                if child.over:
                    break


class _Child:
    """One boxed process and the lines it writes."""

    def __init__(self, files: Sequence[BoxFile], *, with_links: bool, timeout_s: float, memory_bytes: int) -> None:
        described = [part for file in files for part in (file.path, file.name or "-", file.charset, file.title)]
        cpu_s = int(timeout_s * len(files)) + 1
        limits = [str(memory_bytes), str(cpu_s), "links" if with_links else "-"]
        command = [sys.executable, "-m", "apps.knowledge.extract", *limits, *described]
        self.over = False
        self._timeout_s = timeout_s
        self._buffer = bytearray()
        self._process = subprocess.Popen(
            command,
            cwd=_ROOT,
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._output = cast(IO[bytes], self._process.stdout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait()
        self._output.close()

    def next_result(self, check: Callable[[], None]) -> BoxDocument | ExtractError:
        """Return what the process says of its next file; `over` is set when it can say no more."""
        try:
            return _parse(self._line(check))
        except TimeoutError:
            self.over = True
            return ExtractError("extract_timeout", f"The document took longer than {self._timeout_s:.0f} s.")
        except EOFError:
            self.over = True
            self._process.wait()
            return ExtractError("bomb_refused", "Reading the document ended the process that read it.")
        except (ValueError, KeyError, TypeError):
            self.over = True
            return ExtractError("extract_failed", "The document could not be read.")

    def _line(self, check: Callable[[], None]) -> bytes:
        deadline = time.monotonic() + self._timeout_s
        descriptor = self._output.fileno()
        scanned = 0
        while (end := self._buffer.find(b"\n", scanned)) < 0:
            scanned = len(self._buffer)
            if scanned > MAX_LINE_BYTES:
                raise ValueError("The result is too long.")
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            if not select.select([descriptor], [], [], min(left, CHECK_S))[0]:
                check()
                continue
            block = os.read(descriptor, 1 << 18)
            if not block:
                raise EOFError
            self._buffer += block
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line


def _parse(line: bytes) -> BoxDocument | ExtractError:
    data: dict[str, Any] = json.loads(line)
    if "error" in data:
        return ExtractError(data["error"], data["message"])
    chunks = tuple(ChunkDraft(*values) for values in data["chunks"])
    return BoxDocument(data["title"], data["format"], tuple(data["flags"]), chunks, tuple(data["links"]))
