"""Stored files, and what happens when the disk is full: a clear refusal, and nothing half written."""

from __future__ import annotations

import errno
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.files.storage import FileSystemStorage

from apps.core.errors import StorageFull

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_MB = 1024 * 1024
# Of a file whose size is not known before.
_SOME_BYTES = 64 * 1024


class ReservingStorage(FileSystemStorage):
    """Django's storage on disk, which keeps STORAGE_RESERVE_MB free and shows a file only when all of it is there."""

    def _save(self, name: str, content: Any) -> str:
        """Raise StorageFull, with nothing left behind, when there is no room."""
        storage_require(_size_of(content))
        final = Path(self.path(name))
        part = f"{name}.{uuid.uuid4().hex}.part"
        try:
            written = Path(self.path(super()._save(part, content)))  # type: ignore[misc]  # the stubs leave it out
            # Nobody has the name: `save` chose it, and names carry random ids.
            written.rename(final)
        except BaseException as error:
            Path(self.path(part)).unlink(missing_ok=True)
            if storage_is_full(error):
                raise StorageFull from error
            raise
        return name


def storage_require(size_bytes: int) -> None:
    """Raise StorageFull unless a file of that size leaves the reserve untouched."""
    if _free(_place(Path(settings.MEDIA_ROOT))) - size_bytes < settings.STORAGE_RESERVE_MB * _MB:
        raise StorageFull


def temporary_require(size_bytes: int) -> None:
    """Raise StorageFull unless an upload of that size can be received: it waits in the folder of temporary files."""
    if _free(Path(tempfile.gettempdir())) - size_bytes < settings.STORAGE_TEMPORARY_RESERVE_MB * _MB:
        raise StorageFull


def storage_rooms() -> dict[str, dict[str, int]]:
    """Return of each place where files are written the bytes that are free and those that must stay so."""
    return {
        "files": {
            "free_bytes": _free(_place(Path(settings.MEDIA_ROOT))),
            "reserve_bytes": settings.STORAGE_RESERVE_MB * _MB,
        },
        "temporary": {
            "free_bytes": _free(Path(tempfile.gettempdir())),
            "reserve_bytes": settings.STORAGE_TEMPORARY_RESERVE_MB * _MB,
        },
    }


def storage_short() -> list[str]:
    """Return the places that have less room than must stay free."""
    return [name for name, room in storage_rooms().items() if room["free_bytes"] < room["reserve_bytes"]]


def storage_is_full(error: BaseException) -> bool:
    """Whether an error, or what caused it, says that a disk is full: ours or the database's."""
    return any(
        isinstance(one, StorageFull | psycopg.errors.DiskFull) or (isinstance(one, OSError) and one.errno in _FULL)
        for one in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _size_of(content: Any) -> int:
    try:
        return int(content.size)
    except (AttributeError, OSError, TypeError, ValueError):
        return _SOME_BYTES


def _place(folder: Path) -> Path:
    """The folder itself, or where it will be made."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def _free(place: Path) -> int:
    """Bytes that may be written there; a file system that does not tell has room until it says otherwise."""
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return 2**62
