"""Making a backup: database, files and secrets of one moment, in one encrypted file."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import psycopg
from django.conf import settings

from apps.core.stored_files import file_owners
from nlpsuite.backup.compare import database_describe, table_sizes
from nlpsuite.backup.container import MAGIC, SealedWriter
from nlpsuite.backup.dump import database_dump
from nlpsuite.backup.errors import NoSpace, NotEmpty, Unreachable
from nlpsuite.backup.files import Stage, staged
from nlpsuite.backup.keys import key_for_backup
from nlpsuite.backup.progress import Progress, size_text
from nlpsuite.backup.sections import END, section_write, value_write
from nlpsuite.backup.server import Server, database_error, server_of_installation
from nlpsuite.settings import env

# A file that is written and removed again within the milliseconds around a snapshot: another snapshot has neither.
_SNAPSHOT_TRIES = 4
# Small files at the top of DATA_DIR that are kept; what tells of running processes is not.
_KEPT_SUFFIX, _KEPT_MAX_BYTES = ".json", 1024 * 1024
_NOT_KEPT = frozenset({"run.json", "children.json", "secrets.json"})
# What must stay free beside the backup.
_MARGIN_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BackupMade:
    """What a backup holds. `new_key` is the key file that was made for it, where there was none."""

    path: Path
    size_bytes: int
    rows: int
    tables: int
    files: int
    files_bytes: int
    files_missing: list[str]
    snapshot_at: str
    new_key: Path | None


def backup_create(target: Path, *, key_file: str | None, progress: Progress) -> BackupMade:
    """Write a backup of this installation to `target`, which appears whole (mode 0600) or not at all.

    Errors: KeyWrong, NotEmpty (something else is there), NoSpace, Unreachable.
    Effects: nothing in the installation, except links below DATA_DIR/files while it runs and, the first time, a key.
    """
    _require_place(target)
    secret, new_key = key_for_backup(key_file, data_dir=env.DATA_DIR)
    try:
        with (
            server_of_installation(env.DATA_DIR, env.RUN_DIR) as server,
            staged(Path(settings.MEDIA_ROOT)) as stage,
            _snapshot(server, stage) as (reading, snapshot, missing),
            _replacing(target) as file,
        ):
            _require_space(target, reading, stage)
            writer = SealedWriter(file, secret)
            at = datetime.now(UTC).isoformat(timespec="seconds")
            described = _write(writer, server, reading, snapshot, stage, at, missing, progress)
            size = writer.written_bytes
            totals = {"files": len(stage.names), "files_bytes": stage.size_bytes}
    except psycopg.Error as error:
        raise database_error(error) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NoSpace(f"The disk became full while {target} was written; nothing is left of it.") from error
        raise
    rows = sum(table["rows"] for table in described["tables"].values())
    return BackupMade(
        target, size, rows, len(described["tables"]), **totals, files_missing=missing, snapshot_at=at, new_key=new_key
    )


def _require_place(target: Path) -> None:
    if not target.parent.is_dir():
        raise NotEmpty(f"The folder {target.parent} does not exist.")
    if target.resolve().is_relative_to(Path(settings.MEDIA_ROOT).resolve()):
        raise NotEmpty("A backup cannot lie among the files that it is made of.")
    if target.exists():
        with contextlib.suppress(OSError):
            if target.is_file() and (not target.stat().st_size or target.open("rb").read(len(MAGIC)) == MAGIC):
                return
        raise NotEmpty(f"{target} exists and is no backup; it is left as it is.")


@contextlib.contextmanager
def _snapshot(server: Server, stage: Stage) -> Iterator[tuple[psycopg.Connection, str, list[str]]]:
    """Give a transaction with an exported snapshot, and the files of that moment in `stage`; with what is missing."""
    with server.connect() as reading:
        for attempt in range(1, _SNAPSHOT_TRIES + 1):
            stage.take()
            reading.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            row = reading.execute("SELECT pg_export_snapshot()").fetchone()
            stage.take()
            missing = _missing(reading, stage)
            if not missing or attempt == _SNAPSHOT_TRIES:
                break
            reading.rollback()
        assert row is not None  # noqa: S101
        yield reading, row[0], missing


def file_columns() -> list[tuple[str, str]]:
    """Return the columns that name stored files: what a snapshot has in them must be in the backup."""
    return [column for owner in file_owners() for column in owner.columns]


def _missing(reading: psycopg.Connection, stage: Stage) -> list[str]:
    """Return the files that the snapshot names and nobody has: they were lost before, or a snapshot came too late."""
    known = {name for (name,) in reading.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    lost: list[str] = []
    for table, column in file_columns():
        if table in known:
            named = reading.execute(f"SELECT {column} FROM {table} WHERE {column} <> ''")  # type: ignore[arg-type]  # noqa: S608
            lost += [name for (name,) in named if name not in stage.names]
    return sorted(lost)


def _require_space(target: Path, reading: psycopg.Connection, stage: Stage) -> None:
    """Raise NoSpace unless the backup fits. Tables as they lie on the disk are more than their compressed dump."""
    needed = sum(table_sizes(reading).values()) + stage.size_bytes + _MARGIN_BYTES
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise NoSpace(f"{target.parent} has {size_text(free)} free; up to {size_text(needed)} are needed.")


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[IO[bytes]]:
    """Give a file under another name that takes the place of `target` when the block ends well."""
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        partial.unlink(missing_ok=True)


def _write(
    writer: SealedWriter,
    server: Server,
    reading: psycopg.Connection,
    snapshot: str,
    stage: Stage,
    at: str,
    missing: list[str],
    progress: Progress,
) -> dict[str, Any]:
    sizes = table_sizes(reading)
    about = _about(reading)
    value_write(
        writer,
        "about",
        {**about, "made_at": at, "database_bytes": about["database_bytes"], "files_bytes": stage.size_bytes},
    )
    value_write(writer, "secrets", {**env.secrets_read(), **_secret_key()})
    for path in _kept_files():
        section_write(writer, {"name": "kept", "path": path.name}, [path.read_bytes()])
    progress.begin("Database", sum(sizes.values()))
    dumped = database_dump(server, snapshot=snapshot, major=about["server_major"], sizes=sizes, progress=progress)
    section_write(writer, {"name": "database"}, dumped)
    progress.end()
    progress.begin("Files", stage.size_bytes)
    for name, size in sorted(stage.names.items()):
        digest = hashlib.sha256()
        section_write(writer, {"name": "file", "path": name}, stage.blocks(name, digest))
        section_write(writer, {"name": "file_digest", "path": name, "sha256": digest.hexdigest()})
        progress.add(size)
    progress.end()
    described = database_describe(reading, progress, "Digests")
    manifest = {**described, "files": len(stage.names), "files_missing": missing}
    value_write(writer, "manifest", manifest)
    section_write(writer, {"name": END})
    writer.finish()
    return described


def _about(reading: psycopg.Connection) -> dict[str, Any]:
    """Return what a reader must know before it begins."""
    migrations = reading.execute("SELECT app, name FROM django_migrations ORDER BY app, name").fetchall()
    row = reading.execute(
        "SELECT pg_database_size(current_database()), current_setting('server_version_num')"
    ).fetchone()
    if row is None:
        raise Unreachable("The database does not say its size.")
    return {
        "product": settings.VERSION,
        "migrations": [f"{app}.{name}" for app, name in migrations],
        "database_bytes": row[0],
        "server_major": int(row[1]) // 10000,
    }


def _secret_key() -> dict[str, str]:
    """The key that signs, also where it comes from the environment."""
    return {"secret_key": settings.SECRET_KEY} if settings.SECRET_KEY_IS_KEPT else {}


def _kept_files() -> list[Path]:
    found = sorted(path for path in env.DATA_DIR.glob(f"*{_KEPT_SUFFIX}") if path.name not in _NOT_KEPT)
    return [path for path in found if path.is_file() and path.stat().st_size <= _KEPT_MAX_BYTES and _is_json(path)]


def _is_json(path: Path) -> bool:
    with contextlib.suppress(ValueError, OSError):
        json.loads(path.read_bytes())
        return True
    return False
