"""The Celery application of all workers and of beat."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from celery import Celery, concurrency
from celery.signals import setup_logging, worker_init, worker_ready, worker_shutting_down

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nlpsuite.settings.base")
# However a worker is started: `-P threads` is the pool that can be told to stop.
concurrency.ALIASES["threads"] = "nlpsuite.worker_pool:ThreadPool"
app = Celery("nlpsuite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _keep_our_logging(**_: Any) -> None:
    """Django has configured logging; Celery must not replace it."""


def _processor_give_way() -> None:
    """Let every other process have the processor first; threads that start later inherit it.

    Linux may weigh sessions before processes (autogroups), and each of ours is a session of its own: niceness alone
    would mean nothing beside the models.
    """
    os.nice(19)
    with contextlib.suppress(OSError):  # not Linux, or built without
        Path("/proc/self/autogroup").write_text("19")


@worker_init.connect
def _refuse_wrong_role(**_: Any) -> None:
    from django.conf import settings

    from apps.core.boot import boot_check
    from apps.inference.services import engine_start, start_failure_clear
    from nlpsuite.startup import start_refuse

    try:
        boot_check()
        if settings.NLPSUITE_ROLE == "worker-batch":
            _processor_give_way()
        if settings.NLPSUITE_ROLE == "worker-inference":
            engine_start()
            start_failure_clear()
    except Exception as error:  # noqa: BLE001  (whatever it is, the worker ends and says why)
        # Celery logs what a signal handler raises and starts the worker all the same; only SystemExit ends it.
        start_refuse(error)


@worker_shutting_down.connect
def _stop_work(**_: Any) -> None:
    from django.conf import settings

    from apps.inference.services import engine_stop
    from apps.jobs.services import process_stopping

    process_stopping()
    if settings.NLPSUITE_ROLE == "worker-inference":
        engine_stop(wait=False)


@worker_ready.connect
def _say_ready(**_: Any) -> None:
    """Tell /readyz every 3 s that this worker takes work."""
    import threading

    threading.Thread(target=_heartbeat, name="ready", daemon=True).start()


def _heartbeat() -> None:
    import time

    from django.conf import settings
    from redis.exceptions import RedisError

    from apps.core.redis import redis_client

    while True:
        with contextlib.suppress(RedisError):  # the next beat tries again; until then /readyz says so
            redis_client().set(f"ready:{settings.NLPSUITE_ROLE}", "1", ex=10)
        time.sleep(3)
