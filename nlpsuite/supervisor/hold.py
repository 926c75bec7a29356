"""One holder of DATA_DIR at a time: the supervisor, or a command that needs the installation to rest."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class AlreadyRunning(RuntimeError):
    """Somebody else holds this DATA_DIR."""


@contextlib.contextmanager
def hold(data_dir: Path) -> Iterator[None]:
    """Hold DATA_DIR. The kernel drops the lock with its holder, so a killed one leaves nothing stale.

    Raises AlreadyRunning.
    """
    handle = os.fdopen(os.open(data_dir / "up.lock", os.O_WRONLY | os.O_CREAT, 0o600), "w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise AlreadyRunning(f"nlpsuite is already running with {data_dir}.") from None
    try:
        yield
    finally:
        handle.close()
