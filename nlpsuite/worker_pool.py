"""The thread pool of the workers, which can be told to stop while jobs run."""

from __future__ import annotations

from typing import Any

from celery.concurrency.thread import TaskPool


class ThreadPool(TaskPool):
    """Celery's thread pool, which raises when a worker that stops asks it to end a running task.

    The worker then says `Unrecoverable error` (critical) at a stop that is in order.
    """

    def terminate_job(self, pid: Any, signal: Any = None) -> None:
        """Do nothing: a thread cannot be killed, and need not be. What it has not committed when the process ends is
        done again by whoever takes the job when its lease is over."""
