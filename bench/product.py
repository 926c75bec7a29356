"""A running product of the benchmarks' own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.progress import say
from tests.stack import ONE_ADDRESS, Stack


@contextmanager
def product() -> Iterator[Stack]:
    """Start the product on a free port with a folder of its own, and stop it."""
    with tempfile.TemporaryDirectory(prefix="nlpsuite-bench-") as folder:
        Path(folder).chmod(0o711)
        stack = Stack(Path(folder), **ONE_ADDRESS)
        say("starting the product")
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()
