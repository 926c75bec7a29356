"""Reading a backup: once through to know that it is whole, then part by part into a database and a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from django.db.migrations.loader import MigrationLoader

from nlpsuite.backup.container import SealedReader
from nlpsuite.backup.errors import Different, FileDamaged, FileForeign
from nlpsuite.backup.files import file_digest
from nlpsuite.backup.progress import Progress
from nlpsuite.backup.sections import sections_read, value_read

# Takes a file's name and content and returns the sha256 of what it made of it.
FileSink = Callable[[str, Iterator[bytes]], str]


@dataclass(slots=True)
class Content:
    """What was read beside database and files."""

    about: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    kept: dict[str, bytes] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    files: int = 0


def backup_check(path: Path, secret: bytes, progress: Progress) -> Content:
    """Read the whole file and return what it says of itself, with nothing written anywhere.

    Raises KeyWrong, FileDamaged, and FileForeign for a backup of a newer version.
    """
    with _opened(path, secret) as (reader, file):
        progress.begin("Checking", path.stat().st_size)
        content = _read(reader, _forget, file_digest, lambda: progress.to(file.tell()))
        progress.end()
    return content


def backup_load(
    path: Path, secret: bytes, *, database: Callable[[Iterator[bytes]], None], files: FileSink, progress: Progress
) -> Content:
    """Read the file again and give its parts to `database` and `files`. Raises Different for a file that changed."""
    with _opened(path, secret) as (reader, file):
        progress.begin("Restoring", path.stat().st_size)
        content = _read(reader, database, files, lambda: progress.to(file.tell()))
        progress.end()
    return content


@contextlib.contextmanager
def _opened(path: Path, secret: bytes) -> Iterator[tuple[SealedReader, IO[bytes]]]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise FileForeign(f"{path} cannot be read: {error.strerror}.") from error
    with file:
        yield SealedReader(file, secret), file


def _read(
    reader: SealedReader, database: Callable[[Iterator[bytes]], None], files: FileSink, tick: Callable[[], None]
) -> Content:
    content = Content()
    made: dict[str, str] = {}
    for head, blocks in sections_read(reader):
        match head["name"]:
            case "about":
                content.about = value_read(blocks)
                _require_known(content.about)
            case "secrets":
                content.secrets = value_read(blocks)
            case "kept":
                content.kept[Path(head["path"]).name] = b"".join(blocks)
            case "database":
                database(_ticking(blocks, tick))
            case "file":
                made = {head["path"]: files(head["path"], _ticking(blocks, tick))}
            case "file_digest":
                if made != {head["path"]: head["sha256"]}:
                    raise Different(f"The file {head['path']} is not the one that was backed up.")
                content.files += 1
            case "manifest":
                content.manifest = value_read(blocks)
            case other:
                raise FileForeign(f"The backup has a part that this version does not know: {other}.")
    if not content.about or not content.manifest or content.files != content.manifest["files"]:
        raise FileDamaged("The backup is incomplete.")
    return content


def _require_known(about: dict[str, Any]) -> None:
    """Raise FileForeign unless this version knows every migration that the backup's database has had."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    known = {f"{app}.{name}" for app, name in loader.disk_migrations}
    replaced = {f"{app}.{name}" for found in loader.disk_migrations.values() for app, name in found.replaces}
    ours = {app for app, _ in loader.disk_migrations}
    unknown = [name for name in about["migrations"] if name.split(".")[0] in ours and name not in known | replaced]
    if unknown:
        raise FileForeign(
            f"The backup was made by a newer version ({about['product']}): this one does not know {unknown[0]}. "
            "Install that version or a newer one."
        )


def _ticking(blocks: Iterator[bytes], tick: Callable[[], None]) -> Iterator[bytes]:
    for block in blocks:
        tick()
        yield block


def _forget(blocks: Iterator[bytes]) -> None:
    for _ in blocks:
        pass
