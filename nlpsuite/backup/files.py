"""The stored files as of one moment, although the product goes on writing and removing them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlpsuite.backup.errors import FileDamaged, NotEmpty
from nlpsuite.backup.sections import BLOCK_BYTES

_STAGE = ".backup-"


class Stage:
    """Hard links to stored files. What the product removes meanwhile stays here; no content is copied.

    A file is written before the row that names it is committed, and removed after that row is gone. So what a snapshot
    of the database names was there just before it or came until just after it: `take` is called on both sides.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / f"{_STAGE}{secrets.token_hex(6)}"
        self.names: dict[str, int] = {}

    def take(self) -> None:
        """Add every file that is there and not yet taken."""
        for folder, folders, files in os.walk(self._root):
            folders[:] = [name for name in folders if not name.startswith(_STAGE)]
            for name in files:
                path = Path(folder) / name
                relative = path.relative_to(self._root).as_posix()
                if relative not in self.names and not path.is_symlink():
                    self._take(path, relative)

    def _take(self, path: Path, relative: str) -> None:
        target = self._folder / relative
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            try:
                os.link(path, target)
            except FileNotFoundError:
                return
            except OSError:  # a file system without links
                shutil.copyfile(path, target)
        except FileNotFoundError:  # removed since it was listed
            return
        self.names[relative] = target.stat().st_size

    @property
    def size_bytes(self) -> int:
        return sum(self.names.values())

    def blocks(self, name: str, digest: Any) -> Iterator[bytes]:
        """Yield a file's content, and put it into `digest`."""
        with (self._folder / name).open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
                yield block

    def clear(self) -> None:
        """Remove the links."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self.names = {}


@contextlib.contextmanager
def staged(root: Path) -> Iterator[Stage]:
    """Give a Stage of `root`, removed at the end. One at a time; what a killed one left is removed first.

    Raises NotEmpty while another backup is being made.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise NotEmpty("Another backup of this installation is being made.") from None
        for left in root.glob(f"{_STAGE}*"):
            shutil.rmtree(left, ignore_errors=True)
        stage = Stage(root)
        try:
            yield stage
        finally:
            stage.clear()
    finally:
        os.close(handle)


def file_store(root: Path, name: str, blocks: Iterator[bytes]) -> str:
    """Write a file of a backup below `root` (mode 0600, folders 0700) and return its sha256 as read back from there.

    Raises FileDamaged for a name that leads elsewhere.
    """
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise FileDamaged("A file of the backup has a name that leads out of the folder of files.")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        for block in blocks:
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_digest(_name: str, blocks: Iterator[bytes]) -> str:
    """Return the sha256 of a file of a backup, and keep nothing of it."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()
