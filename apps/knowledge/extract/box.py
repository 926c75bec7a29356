"""Extraction in a process of its own, bounded in memory, time, disk and reach: parsers meet hostile files there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from apps.core.box.process import BoxProcess
from apps.documents.errors import ExtractError
from apps.knowledge.chunking import ChunkDraft

MEMORY_BYTES = 512 * 1024 * 1024
TIMEOUT_S = 30.0
"""Wall-clock limit of one file; the process's CPU limit is the same per file."""
MAX_LINE_BYTES = 160 * 1024 * 1024
FILES_PER_PROCESS = 16


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
    """One boxed process and what it says of its files."""

    def __init__(self, files: Sequence[BoxFile], *, with_links: bool, timeout_s: float, memory_bytes: int) -> None:
        described = [part for file in files for part in (file.path, file.name or "-", file.charset, file.title)]
        cpu_s = int(timeout_s * len(files)) + 1
        limits = [str(memory_bytes), str(cpu_s), "links" if with_links else "-"]
        self.over = False
        self._timeout_s = timeout_s
        self._process = BoxProcess("apps.knowledge.extract", [*limits, *described])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.__exit__(*exc)

    def next_result(self, check: Callable[[], None]) -> BoxDocument | ExtractError:
        """Return what the process says of its next file; `over` is set when it can say no more."""
        try:
            return _parse(self._process.line(timeout_s=self._timeout_s, max_bytes=MAX_LINE_BYTES, check=check))
        except TimeoutError:
            self.over = True
            return ExtractError("extract_timeout", f"The document took longer than {self._timeout_s:.0f} s.")
        except EOFError:
            self.over = True
            return ExtractError("bomb_refused", "Reading the document ended the process that read it.")
        except (ValueError, KeyError, TypeError):
            self.over = True
            return ExtractError("extract_failed", "The document could not be read.")


def _parse(line: bytes) -> BoxDocument | ExtractError:
    data: dict[str, Any] = json.loads(line)
    if "error" in data:
        return ExtractError(data["error"], data["message"])
    chunks = tuple(ChunkDraft(*values) for values in data["chunks"])
    return BoxDocument(data["title"], data["format"], tuple(data["flags"]), chunks, tuple(data["links"]))
