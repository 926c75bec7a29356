"""Closes the process that reads a stranger's file: bounded in memory, time and disk, without network and other files."""

from __future__ import annotations

import os
import resource
import socket
import sys
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_REFUSED = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "os.remove",
            "os.rename", "os.link", "os.symlink", "os.mkdir", "os.rmdir", "os.kill", "os.truncate", "os.ch", "os.utime",
            "os.setxattr", "os.removexattr", "ctypes.", "shutil.", "pty.")  # fmt: skip
_ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def close_the_box(memory_bytes: int, cpu_s: int, paths: list[str], *, scratch_bytes: int = 0) -> None:
    """Bound memory, time and disk, and take network and files away before a byte of a document is read.

    `paths` can be read. Nothing can be written but descriptors that are open already, up to `scratch_bytes` of a file.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (scratch_bytes, scratch_bytes))  # pipes are not files: results still pass
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    if sys.platform.startswith("linux"):  # macOS accepts no limit on the address space
        import ctypes

        # An empty network namespace where the kernel grants one (os.unshare came with Python 3.12).
        libc = ctypes.CDLL(None)
        if libc.unshare(_CLONE_NEWNET) != 0:
            libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    _install_guard(paths)


def _install_guard(paths: list[str]) -> None:
    """Refuse, inside Python, what no parser has a reason to do: sockets, processes, files other than code and input."""
    code = _code()
    allowed = {os.path.realpath(path) for path in paths}

    def guard(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, (str, bytes)):
                real = os.path.realpath(os.fsdecode(path))
                if flags & _WRITING or (real not in allowed and not real.startswith(code)):
                    raise PermissionError("This file is outside the box.")
        elif event.startswith(_REFUSED):
            raise PermissionError(f"{event} is not allowed while reading a document.")

    sys.addaudithook(guard)
    del socket.socket


def _code() -> tuple[str, ...]:
    """Return the folders that modules come from. Of the project's own folder it is the code alone: DATA_DIR, with the
    secrets and everybody's files, lies in it unless it is set."""
    folders = {os.path.realpath(path) for path in sys.path if path}
    return tuple(os.path.join(path, "apps") + os.sep if path == _ROOT else path + os.sep for path in folders)
