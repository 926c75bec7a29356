"""pg_dump and pg_restore, with their bytes passing through this process and their progress read from what they say."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress

from nlpsuite.backup.errors import Different, Unreachable
from nlpsuite.backup.progress import Progress
from nlpsuite.backup.sections import BLOCK_BYTES
from nlpsuite.backup.server import Server, program

_DUMPING = 'dumping contents of table "public.'
# How long pg_dump waits for a migration that holds a table.
_LOCK_WAIT = "60s"


def database_dump(
    server: Server, *, snapshot: str, major: int, sizes: dict[str, int], progress: Progress
) -> Iterator[bytes]:
    """Yield the database as of an exported snapshot, in pg_dump's custom format. Raises Unreachable.

    Owners and comments are left out: who restores decides on the owner, and only an owner may comment.
    """
    command = [program("pg_dump", least_major=major), "--format=custom", "--compress=gzip:1", "--verbose"]
    command += ["--no-owner", "--no-comments", "--no-publications", "--no-subscriptions", "--no-password"]
    command += [f"--snapshot={snapshot}", f"--lock-wait-timeout={_LOCK_WAIT}", f"--dbname={server.conninfo}"]
    running = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=server.environment()
    )
    said = _Said(running, sizes, progress)
    try:
        assert running.stdout is not None  # noqa: S101
        while block := running.stdout.read(BLOCK_BYTES):
            yield block
        status = running.wait()
        said.join()
        if status:
            raise Unreachable(f"pg_dump failed: {said.last()}")
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()


def database_load(server: Server, blocks: Iterable[bytes]) -> None:
    """Fill an empty database from a dump, in one transaction, everything owned by `server.owner`.

    Raises Different when PostgreSQL refuses what is in the dump, and what `blocks` raises.
    """
    command = [program("pg_restore"), "--no-owner", f"--role={server.owner}", "--exit-on-error", "--single-transaction"]
    command += ["--no-comments", "--no-password", f"--dbname={server.conninfo}"]
    running = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=server.environment()
    )
    said = _Said(running, {}, None)
    try:
        assert running.stdin is not None  # noqa: S101
        with suppress(BrokenPipeError):  # its status says why
            for block in blocks:
                running.stdin.write(block)
            running.stdin.close()
        status = running.wait()
        said.join()
        if status:
            raise Different(f"pg_restore failed: {said.last()}")
    finally:
        if running.poll() is None:
            # A dump that was cut must not be committed: it ends with the process, not with the pipe.
            running.kill()
            running.wait()


class _Said:
    """Reads what a program says on stderr: the table it is at, and its last words."""

    def __init__(self, running: subprocess.Popen[bytes], sizes: dict[str, int], progress: Progress | None) -> None:
        self._running, self._sizes, self._progress = running, sizes, progress
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def join(self) -> None:
        self._thread.join(10)

    def last(self) -> str:
        told = [line for line in self._lines if "error" in line.lower()] or self._lines
        return " ".join(told[-2:])[-600:] or "no message"

    def _read(self) -> None:
        begun = 0
        for raw in self._running.stderr or ():
            line = raw.decode(errors="replace").strip()
            self._lines = [*self._lines[-20:], line]
            if _DUMPING in line and self._progress is not None:
                self._progress.to(begun)
                begun += self._sizes.get(line.split(_DUMPING)[1].split('"')[0], 0)
