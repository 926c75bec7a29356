"""The running product for tests that need all of it: `manage.py up` on a free port with a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from nlpsuite.settings.env import runtime_dir
from nlpsuite.supervisor.postgres import DATABASE, SUPERUSER

ROOT = Path(__file__).resolve().parent.parent


# Loads that come from this machine stand for those of many addresses.
_BY_ADDRESS = ("CONNECTIONS", "SOCKETS", "GREETINGS", "VISITORS", "MESSAGES")
ONE_ADDRESS = {"HANDSHAKES_PER_MINUTE": "1000000"} | {f"{name}_PER_ADDRESS": "1000000" for name in _BY_ADDRESS}


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Stack:
    """Start, look at and stop one installation."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder, self.port = folder, free_port()
        self.data = folder / "data"
        self.base = f"http://127.0.0.1:{self.port}"
        self.log_path = folder / "up.log"
        self._env = env
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, timeout_s: float = 600) -> None:
        """Start and wait for the `Ready:` line."""
        for parent in [self.folder, *self.folder.parents]:
            if parent.stat().st_uid == os.geteuid() and parent.parent == Path("/tmp"):
                parent.chmod(0o711)
        dropped = {
            "DATABASE_URL",
            "REDIS_URL",
            "PUBLIC_URL",
            "SECRET_KEY",
            "HOST",
            "NLPSUITE_ROLE",
            "DB_ROLE",
            "DB_POOL_SIZE",
        }
        env = {name: value for name, value in os.environ.items() if name not in dropped}
        env |= {"DATA_DIR": str(self.data), "PORT": str(self.port), "EGRESS_ALLOW_CIDRS": "127.0.0.0/8", **self._env}
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=self.log_path.open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + timeout_s
        before = len(self.log())
        while f"Ready: {self.base}" not in self.log()[before:]:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("the product did not become ready:\n" + self.log()[-4000:])
            time.sleep(0.2)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @property
    def demo(self) -> dict[str, Any]:
        return json.loads((self.data / "demo.json").read_text())

    def roles(self) -> dict[str, list[int]]:
        return json.loads((self.data / "run.json").read_text())

    def client(self, *, other: bool = False, timeout: float = 60) -> httpx.Client:
        demo = self.demo["other"] if other else self.demo
        return httpx.Client(base_url=self.base, headers={"Authorization": f"Bearer {demo['api_key']}"}, timeout=timeout)

    def kill(self, role: str) -> list[int]:
        """kill -9 the processes of a role; returns their ids."""
        pids = self.roles().get(role, [])
        for pid in pids:
            psutil.Process(pid).kill()
        return pids

    def wait_ready(self, timeout_s: float = 90) -> None:
        """Wait until /readyz says 200."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                if httpx.get(f"{self.base}/readyz", timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            assert time.monotonic() < deadline, "not ready again: " + self.log()[-2000:]
            time.sleep(0.2)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement on the installation's database as its superuser, whom no wall stops."""
        with self._superuser() as connection:
            return connection.execute(statement).fetchall()

    def execute(self, statement: str) -> None:
        """The same for a statement that gives no rows."""
        with self._superuser() as connection:
            connection.execute(statement)

    def _superuser(self) -> psycopg.Connection[tuple[Any, ...]]:
        password = json.loads((self.data / "secrets.json").read_text())["pg_superuser"]
        parameters = {"host": str(runtime_dir(self.data) / "pg"), "user": SUPERUSER, "password": password}
        return psycopg.connect(dbname=DATABASE, connect_timeout=5, **parameters)

    def replies_active(self) -> int:
        """Return how many runs of the bot are neither done nor marked as ended."""
        return self.query("SELECT count(*) FROM assistant_reply WHERE status IN ('queued', 'running')")[0][0]

    def stop(self) -> float:
        """SIGTERM; returns how many seconds it took to end."""
        if self.process is None or self.process.poll() is not None:
            return 0.0
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        return time.monotonic() - began
