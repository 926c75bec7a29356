"""The boxed processes that this run has started."""

from __future__ import annotations

import contextlib

import psutil

MODULES = frozenset({"apps.knowledge.extract", "apps.batches.tables", "apps.translation.markup"})


def boxes_running() -> set[int]:
    """Return their ids. The database beside them starts and ends processes of its own as it likes."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if MODULES & set(child.cmdline()):
                found.add(child.pid)
    return found
