"""A child process that dies with the supervisor, whose lines are prefixed, and that is restarted with back-off."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
# A child that cannot start writes a line that begins so.
CANNOT_START = "Cannot start: "
# EX_CONFIG of sysexits.h: the same start would end the same way until somebody changes something.
EXIT_CONFIG = 78
BACKOFF_FIRST_S, BACKOFF_MOST_S, SETTLED_S = 0.2, 10.0, 10.0


@dataclass(frozen=True, slots=True)
class User:
    """A system user that a child drops to."""

    uid: int
    gid: int


@dataclass(slots=True)
class Child:
    """What to run and how to stop it. `pid` is None while it waits for its next start."""

    role: str
    command: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    stop_signal: signal.Signals = signal.SIGTERM
    user: User | None = None
    process: subprocess.Popen[str] | None = None
    reader: threading.Thread | None = None
    failures: int = 0
    started_at: float = 0.0
    start_after: float = 0.0
    wanted: bool = field(default=True)

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process and self.process.poll() is None else None


def _before_exec(parent: int, stop_signal: int, user: User | None) -> Callable[[], None]:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def prepare() -> None:
        if user is not None:
            os.setgroups([])
            os.setgid(user.gid)
            os.setuid(user.uid)
        if libc is not None:
            # After setuid, which clears it. The signal follows the thread that forked: the supervisor's main thread.
            libc.prctl(_PR_SET_PDEATHSIG, stop_signal)
            if os.getppid() != parent:
                os._exit(1)

    return prepare


def start(child: Child, log: Callable[[str, str], None]) -> None:
    """Start the child in a session of its own, so that Ctrl-C reaches the supervisor alone."""
    child.process = subprocess.Popen(
        child.command,
        env=dict(child.env),
        cwd=child.cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        bufsize=1,
        start_new_session=True,
        preexec_fn=_before_exec(os.getpid(), child.stop_signal, child.user),
    )
    child.started_at = time.monotonic()
    child.reader = threading.Thread(target=_forward, args=(child.role, child.process, log), daemon=True)
    child.reader.start()


def _forward(role: str, process: subprocess.Popen[str], log: Callable[[str, str], None]) -> None:
    if process.stdout is not None:
        for line in process.stdout:
            log(role, line.rstrip("\n"))


def schedule_restart(child: Child) -> float:
    """Set when to start again and return the wait in seconds: 0.2 s doubled up to 10 s, from anew after 10 s of life."""
    lived = time.monotonic() - child.started_at
    child.failures = 0 if lived > SETTLED_S else child.failures + 1
    wait_s = min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2**child.failures)
    child.start_after = time.monotonic() + wait_s
    return wait_s


def stop(children: Sequence[Child], *, patience_s: float) -> None:
    """Ask the children to end together, then kill the process groups of those that stay."""
    running = [child.process for child in children if child.process and child.process.poll() is None]
    for child in children:
        child.wanted = False
        if child.process and child.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                child.process.send_signal(child.stop_signal)
    deadline = time.monotonic() + patience_s
    for process in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
    for process in running:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2)
