"""What `manage.py up` does: services, migrations, demo, processes, then watching them until told to stop."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import psutil

from nlpsuite.settings import env
from nlpsuite.settings.parts.database import DATABASE_URL, OWNER_ROLE
from nlpsuite.settings.parts.inference import INFERENCE_WORKER_THREADS
from nlpsuite.settings.parts.security import BASE_URL
from nlpsuite.supervisor import postgres, valkey
from nlpsuite.supervisor.hold import hold
from nlpsuite.supervisor.process import CANNOT_START, EXIT_CONFIG, Child, schedule_restart, start, stop

READY_TIMEOUT_S = 600
# How often a child may say that it cannot start before the product is ready, where another try could help.
START_TRIES = 3
PRIVATE_UMASK = 0o077
COLOURS = {
    "web": 36,
    "worker-inference": 35,
    "worker-default": 34,
    "dispatcher": 33,
    "beat": 32,
    "postgres": 90,
    "worker-batch": 94,
}


class Supervisor:
    """Owns every child process of one installation. All starts happen on the main thread (see process.py)."""

    def __init__(self) -> None:
        self.data_dir, self.run_dir = env.DATA_DIR, env.RUN_DIR
        self.children: list[Child] = []
        self.stopping = threading.Event()
        self.terminal = sys.stdout.isatty()
        self.ready = False
        self._reasons: dict[str, str] = {}
        self._refusals: Counter[str] = Counter()
        self._print_lock = threading.Lock()
        self._began = time.monotonic()
        self._manage = [sys.executable, str(env.BASE_DIR / "manage.py")]

    # -- output ------------------------------------------------------------------------------------------------------
    def log(self, role: str, line: str) -> None:
        """Print one line of a role; a closed terminal must not stop the product."""
        if line.startswith(CANNOT_START) and role != "up":
            self._reasons[role] = line.removeprefix(CANNOT_START)
        name = f"{role:<17}"
        if self.terminal:
            name = f"\x1b[{COLOURS.get(role, 37)}m{name}\x1b[0m"
        with self._print_lock, contextlib.suppress(OSError, ValueError):
            print(f"{name} {line}", flush=True)  # noqa: T201

    def step(self, text: str) -> None:
        self.log("up", f"[{time.monotonic() - self._began:5.1f} s] {text}")

    # -- life --------------------------------------------------------------------------------------------------------
    def run(self) -> int:
        """Start everything, print `Ready:`, watch until SIGINT or SIGTERM. Returns the exit status."""
        # Children inherit it: what they write below DATA_DIR is nobody else's to read.
        os.umask(PRIVATE_UMASK)
        self._prepare_folders()
        with hold(self.data_dir):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, lambda *_: self.stopping.set())
            try:
                self._end_orphans()
                self._start_services()
                self._start_product()
                if not self.stopping.is_set():
                    self.ready = True
                    with self._print_lock:
                        print(f"Ready: {BASE_URL}", flush=True)  # noqa: T201
                self._watch()
                return 0
            except (RuntimeError, TimeoutError, subprocess.CalledProcessError) as error:
                self.step(f"Cannot start: {error}")
                return 1
            finally:
                self._stop_all()

    def _prepare_folders(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            self.data_dir.chmod(0o711)  # PostgreSQL's user passes through; nobody may list
        self.run_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        status = self.run_dir.lstat()
        if status.st_uid != os.geteuid() or self.run_dir.is_symlink():
            raise RuntimeError(f"{self.run_dir} belongs to somebody else.")
        self.run_dir.chmod(0o711)
        self._close_folders()

    def _close_folders(self) -> None:
        """Close to others what releases before this one left open. PostgreSQL looks after its own folder."""
        for path in self.data_dir.iterdir():
            if path != self.run_dir and path.name != "postgres" and not path.is_symlink():
                with contextlib.suppress(OSError):  # of another user: not ours to close
                    path.chmod(path.stat().st_mode & 0o700)

    def _end_orphans(self) -> None:
        """End children of a supervisor that was killed where the system did not (no parent-death signal)."""
        note = self.data_dir / "children.json"
        with contextlib.suppress(OSError, ValueError):
            for pid, created in json.loads(note.read_text()):
                with contextlib.suppress(psutil.Error):
                    process = psutil.Process(pid)
                    if abs(process.create_time() - created) < 1 and process.ppid() == 1:
                        process.terminate()
                        process.wait(10)

    # -- services ----------------------------------------------------------------------------------------------------
    def _start_services(self) -> None:
        secrets = env.secrets_ensure()
        socket = self.run_dir / "valkey.sock"
        if not env.env_str("REDIS_URL"):
            valkey.end_orphan(socket)
            self._add(valkey.child(self.data_dir, socket))
        if not DATABASE_URL:
            cluster = postgres.locate(self.data_dir, self.run_dir)
            postgres.end_orphan(cluster)
            if postgres.initialise(cluster, secrets["pg_superuser"]):
                self.step("Made a new database cluster")
            self._add(postgres.child(cluster))
            postgres.wait_ready(cluster, secrets["pg_superuser"])
            postgres.provision(cluster, secrets)
        if not env.env_str("REDIS_URL"):
            valkey.wait_ready(socket)
        self.step("PostgreSQL and Valkey answer")

    def _child_env(self, role: str, **extra: str) -> dict[str, str]:
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "nlpsuite.settings.base",
            "DATA_DIR": str(self.data_dir),
            "HOST": env.HOST,
            "PORT": str(env.PORT),
            "NLPSUITE_ROLE": role,
            "PYTHONUNBUFFERED": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "PYTHONWARNINGS": "ignore",
            "TQDM_DISABLE": "1",
            "C_FORCE_ROOT": "1",
            **extra,
        }

    def _manage_child(self, role: str, *command: str, **extra: str) -> Child:
        return Child(role=role, command=[*self._manage, *command], env=self._child_env(role, **extra), cwd=env.BASE_DIR)

    def _worker(self, role: str, queue: str, threads: int) -> Child:
        command = [sys.executable, "-m", "celery", "--quiet", "-A", "nlpsuite", "worker", "-Q", queue, "-P", "threads"]
        command += ["-c", str(threads), "-n", f"{queue}@%h", "-l", "WARNING"]
        command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        # The inference worker ends its generations itself when told to stop, which Celery tells only on a warm shutdown.
        extra = {} if queue == "inference" else {"REMAP_SIGTERM": "SIGQUIT"}
        return Child(role=role, command=command, env=self._child_env(role, **extra), cwd=env.BASE_DIR)

    def _start_product(self) -> None:
        self._tend_while([*self._manage, "prepare"], "prepare", DB_ROLE=OWNER_ROLE)
        self.step("Database schema is current")
        self._add(self._worker("worker-inference", "inference", INFERENCE_WORKER_THREADS))
        self._add(self._worker("worker-default", "default", 8))
        self._add(self._worker("worker-batch", "batch", 2))
        self._add(self._manage_child("dispatcher", "dispatch"))
        beat = [sys.executable, "-m", "celery", "--quiet", "-A", "nlpsuite", "beat", "-l", "WARNING"]
        beat += ["-s", str(self.data_dir / "beat-schedule"), "--pidfile="]
        self._add(Child(role="beat", command=beat, env=self._child_env("beat"), cwd=env.BASE_DIR))
        # On the first start the demo's documents are embedded here, so that Ready means "ask it something".
        self._tend_while([*self._manage, "seed_demo"], "seed")
        self._add(self._manage_child("web", "web"))
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self.stopping.is_set() and not _answers(f"http://{env.local_host()}:{env.PORT}/readyz"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not ready within {READY_TIMEOUT_S} s")
            self._tend()
            time.sleep(0.2)

    def _tend_while(self, command: list[str], role: str, **extra: str) -> None:
        """Run a command to its end, watching over the children meanwhile. Raises RuntimeError when it fails."""
        helper = Child(role=role, command=command, env=self._child_env(role, **extra), cwd=env.BASE_DIR)
        start(helper, self.log)
        assert helper.process is not None  # noqa: S101
        try:
            while helper.process.poll() is None and not self.stopping.is_set():
                self._tend()
                time.sleep(0.1)
        finally:
            if helper.process.poll() is None:
                stop([helper], patience_s=2)
        if helper.process.returncode and not self.stopping.is_set():
            reason = self._reason(helper)
            raise RuntimeError(
                f"{role}: {reason}" if reason else f"{role} ended with status {helper.process.returncode}"
            )

    # -- watching ----------------------------------------------------------------------------------------------------
    def _add(self, child: Child) -> None:
        start(child, self.log)
        self.children.append(child)
        self._write_run_file()

    def _write_run_file(self) -> None:
        roles = {child.role: [child.pid] if child.pid else [] for child in self.children}
        _replace(self.data_dir / "run.json", json.dumps(roles))
        created = []
        for child in self.children:
            with contextlib.suppress(psutil.Error):
                if child.pid:
                    created.append((child.pid, psutil.Process(child.pid).create_time()))
        _replace(self.data_dir / "children.json", json.dumps(created))

    def _tend(self) -> None:
        """Restart what has ended, each after its back-off. Raises RuntimeError for what cannot start at all."""
        for child in self.children:
            if not child.wanted or child.pid is not None:
                continue
            if child.process is not None:
                why = self._why_ended(child, child.process.returncode)
                wait_s = schedule_restart(child)
                self.step(f"{child.role} {why}; starts again in {wait_s:.1f} s")
                child.process = None
                self._write_run_file()
            elif time.monotonic() >= child.start_after:
                start(child, self.log)
                self._write_run_file()

    def _why_ended(self, child: Child, status: int) -> str:
        """Return what to say of a child that has ended. Raises RuntimeError before Ready when it cannot start."""
        reason = self._reason(child)
        if not reason:
            return f"ended with status {status}"
        self._refusals[child.role] += 1
        if not self.ready and (status == EXIT_CONFIG or self._refusals[child.role] >= START_TRIES):
            raise RuntimeError(f"{child.role}: {reason}")
        return f"cannot start: {reason}"

    def _reason(self, child: Child) -> str:
        if child.reader is not None:
            child.reader.join(1.0)  # its last line may still be in the pipe
        return self._reasons.pop(child.role, "")

    def _watch(self) -> None:
        while not self.stopping.is_set():
            self._tend()
            self.stopping.wait(0.2)

    def _stop_all(self) -> None:
        self.step("Stopping")
        services = {"postgres", "valkey"}
        stop([c for c in self.children if c.role not in services], patience_s=8)
        stop([c for c in self.children if c.role == "valkey"], patience_s=2)
        stop([c for c in self.children if c.role == "postgres"], patience_s=4)
        for name in ("run.json", "children.json"):
            (self.data_dir / name).unlink(missing_ok=True)
        self.step("Stopped")


def _replace(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old or the new text, never a part."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310  (our own address)
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False
