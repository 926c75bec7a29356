"""Restoring a backup into an empty place, and making it fit to start."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from django.conf import settings

from nlpsuite.backup.dump import database_load
from nlpsuite.backup.errors import Different, NotEmpty
from nlpsuite.backup.files import file_store
from nlpsuite.backup.keys import OWN_KEY, key_for_reading
from nlpsuite.backup.progress import Progress
from nlpsuite.backup.read import Content, backup_check, backup_load
from nlpsuite.backup.server import Server, database_error, hold_for, server_external, server_new
from nlpsuite.backup.verify import restored_compare, space_require
from nlpsuite.settings import env
from nlpsuite.settings.parts.database import DATABASE_URL, OWNER_ROLE

# What may lie in a data folder that counts as empty: it is made again, or is the key.
_NOTHING = frozenset({OWN_KEY, "up.lock", "lost+found", "models", "cache", "staticfiles", "run"})
# The write-ahead log of a restore in one transaction, and a new cluster.
_CLUSTER_BYTES = 1024**3
_PREPARE_TIMEOUT_S = 3600
_PASSWORDS = ("pg_superuser", "pg_owner", "pg_app")


@dataclass(frozen=True, slots=True)
class BackupRestored:
    """What was restored. `migrated` are the migrations of this version that the backup's database lacked."""

    made_at: str
    product: str
    tables: int
    rows: int
    files: int
    files_missing: list[str]
    migrated: int
    sessions_ended: int


def backup_restore(path: Path, *, key_file: str | None, progress: Progress) -> BackupRestored:
    """Restore `path` into DATA_DIR, or DATA_DIR and the database of DATABASE_URL, which must both be empty.

    The file is read to its end before anything is written, the database is compared with the backup's own list, brought
    up to this version, and everybody is signed out. When something fails, nothing is left.
    Errors: KeyWrong, FileDamaged, FileForeign, NotEmpty, NoSpace, Different, Unreachable.
    """
    data_dir = env.DATA_DIR
    _require_empty(data_dir)
    secret = key_for_reading(key_file, data_dir=data_dir)
    known = backup_check(path, secret, progress)
    existing = next(parent for parent in (data_dir, *data_dir.parents) if parent.exists())
    space_require(existing, known.about["database_bytes"] + known.about["files_bytes"] + _CLUSTER_BYTES)
    with _filled_or_nothing(data_dir), hold_for(data_dir), _server(data_dir, known) as server:
        content = backup_load(
            path,
            secret,
            database=lambda blocks: database_load(server, blocks),
            files=lambda name, blocks: file_store(Path(settings.MEDIA_ROOT), name, blocks),
            progress=progress,
        )
        for name, data in content.kept.items():
            _write_private(data_dir / name, data)
        restored_compare(server, content, progress)
        progress.begin("Bringing the database up to this version", 0)
        ended = _end_sessions(server)
        migrated = _prepare(server, content)
        progress.end()
    tables = content.manifest["tables"].values()
    return BackupRestored(
        made_at=content.about["made_at"],
        product=content.about["product"],
        tables=len(tables),
        rows=sum(table["rows"] for table in tables),
        files=content.files,
        files_missing=content.manifest["files_missing"],
        migrated=migrated,
        sessions_ended=ended,
    )


def _require_empty(data_dir: Path) -> None:
    there = sorted(path.name for path in data_dir.iterdir() if path.name not in _NOTHING) if data_dir.exists() else []
    if there:
        raise NotEmpty(
            f"{data_dir} is not empty: {', '.join(there[:3])}{' ...' if len(there) > 3 else ''}. Stop nlpsuite and move "
            "the folder away, or set DATA_DIR to an empty one."
        )
    owner = next(parent for parent in (data_dir, *data_dir.parents) if parent.exists()).stat().st_uid
    if os.geteuid() == 0 and owner != 0 and data_dir.exists():
        raise NotEmpty(
            f"{data_dir} belongs to the user {owner}, who could not use what root restores. Run this as that user."
        )
    if DATABASE_URL:
        try:
            with server_external().connect() as connection:
                row = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        except psycopg.Error as error:
            raise database_error(error) from error
        if row and row[0]:
            raise NotEmpty(
                f"The database of DATABASE_URL has {row[0]} tables. Make an empty one, see docker/init-roles.sh."
            )


@contextlib.contextmanager
def _filled_or_nothing(data_dir: Path) -> Iterator[None]:
    """Make the folder; when the block fails, remove everything that was not there before."""
    before = {path.name for path in data_dir.iterdir()} if data_dir.exists() else set()
    data_dir.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if (note := data_dir / "postgres.location").exists():
            shutil.rmtree(note.read_text().strip(), ignore_errors=True)
        for path in data_dir.iterdir():
            if path.name not in before:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
        raise


@contextlib.contextmanager
def _server(data_dir: Path, known: Content) -> Iterator[Server]:
    """Write the secrets and give the empty database."""
    kept = {name: known.secrets[name] for name in known.secrets if name not in _PASSWORDS}
    if DATABASE_URL:
        _write_private(data_dir / "secrets.json", json.dumps(kept).encode())
        server = server_external()
        try:
            yield server
        except BaseException:
            _empty_again(server)
            raise
        return
    # Passwords of the roles are this cluster's own.
    kept |= {name: secrets.token_urlsafe(48) for name in _PASSWORDS}
    _write_private(data_dir / "secrets.json", json.dumps(kept).encode())
    with server_new(data_dir, env.RUN_DIR, kept) as server:
        yield server


def _empty_again(server: Server) -> None:
    """Drop the tables that a restore has committed; before it there were none."""
    with contextlib.suppress(psycopg.Error), server.connect() as connection:
        rows = connection.execute("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'").fetchall()
        if rows:
            connection.execute(f"DROP TABLE {', '.join(name for (name,) in rows)} CASCADE")  # type: ignore[arg-type]


def _write_private(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
        handle.write(data)


def _end_sessions(server: Server) -> int:
    """Sign everybody out: a session that ended after the backup must not come to life again."""
    with server.connect() as connection:
        return connection.execute("DELETE FROM django_session").rowcount


def _prepare(server: Server, content: Content) -> int:
    """Migrate as the owner, in a process that reads the secrets just restored; returns how many migrations ran."""
    environment = {**os.environ, "DB_ROLE": OWNER_ROLE, "DATA_DIR": str(env.DATA_DIR)}
    done = subprocess.run(
        [sys.executable, str(env.BASE_DIR / "manage.py"), "prepare"],
        cwd=env.BASE_DIR,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_PREPARE_TIMEOUT_S,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Different(f"The restored database cannot be brought up to this version: {last}")
    with server.connect() as connection:
        row = connection.execute("SELECT count(*) FROM django_migrations").fetchone()
    return (row[0] if row else 0) - len(content.about["migrations"])
