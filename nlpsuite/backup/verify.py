"""Proving that a backup can be restored: into a scratch database that is compared and thrown away."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psycopg

from nlpsuite.backup.compare import database_describe, database_differences
from nlpsuite.backup.dump import database_load
from nlpsuite.backup.errors import Different, NoSpace
from nlpsuite.backup.files import file_digest
from nlpsuite.backup.keys import key_for_reading
from nlpsuite.backup.progress import Progress, size_text
from nlpsuite.backup.read import Content, backup_check, backup_load
from nlpsuite.backup.server import Server, database_error, server_scratch
from nlpsuite.settings import env

# A cluster without data, its first log and the files that sorting and index building need.
_CLUSTER_BYTES = 400 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BackupVerified:
    """What was compared and found the same."""

    made_at: str
    product: str
    tables: int
    rows: int
    files: int
    files_missing: list[str]


def backup_verify(path: Path, *, key_file: str | None, scratch: Path | None, progress: Progress) -> BackupVerified:
    """Restore `path` into a scratch database and compare rows, digests, catalogue and files with the backup's own list.

    Needs neither an installation nor its server: a PostgreSQL of its own runs in a folder below `scratch` (or TMPDIR).
    Errors: KeyWrong, FileDamaged, FileForeign, NoSpace, Different, Unreachable.
    """
    secret = key_for_reading(key_file, data_dir=env.DATA_DIR)
    known = backup_check(path, secret, progress)
    space_require(scratch or Path(tempfile.gettempdir()), known.about["database_bytes"] + _CLUSTER_BYTES)
    with server_scratch(scratch) as server:
        content = backup_load(
            path, secret, database=lambda blocks: database_load(server, blocks), files=file_digest, progress=progress
        )
        restored_compare(server, content, progress)
    tables = content.manifest["tables"].values()
    return BackupVerified(
        made_at=content.about["made_at"],
        product=content.about["product"],
        tables=len(tables),
        rows=sum(table["rows"] for table in tables),
        files=content.files,
        files_missing=content.manifest["files_missing"],
    )


def restored_compare(server: Server, content: Content, progress: Progress) -> None:
    """Raise Different, naming what differs, unless the database is what the manifest says."""
    try:
        with server.connect() as connection:
            found = database_describe(connection, progress, "Comparing")
    except psycopg.Error as error:
        raise database_error(error) from error
    differences = database_differences(content.manifest, found)
    if differences:
        more = f" and {len(differences) - 5} more" if len(differences) > 5 else ""
        raise Different(f"The restored database differs: {'; '.join(differences[:5])}{more}.")


def space_require(place: Path, needed_bytes: int) -> None:
    """Raise NoSpace unless so much is free there."""
    free = shutil.disk_usage(place).free
    if free < needed_bytes:
        raise NoSpace(f"{place} has {size_text(free)} free; about {size_text(needed_bytes)} are needed.")
