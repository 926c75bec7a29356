"""Work survives the death of its workers and the loss of everything in Valkey (B2, B3), with real Celery processes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection

from apps.core.redis import redis_client
from apps.core.tenancy import tenant_scope
from apps.events.models import AuditEntry
from apps.jobs.models import JobDispatch
from apps.jobs.services import job_enqueue
from nlpsuite.settings import env

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.stack, pytest.mark.timeout(300)]

JOBS, KILLS, FLUSHES = 500, 6, 2
RECOVERY_S = 60
CELERY = [sys.executable, "-m", "celery", "--quiet", "-A", "nlpsuite"]
WORKER = [*CELERY, "worker", "-Q", "default", "-P", "threads", "-c", "8", "-l", "WARNING"]
WORKER += ["--without-gossip", "--without-mingle", "--without-heartbeat"]


class Processes:
    """Two workers and beat, as the supervisor starts them, on the test's database."""

    def __init__(self, folder: Path) -> None:
        secret, name = env.secrets_read()["pg_app"], connection.settings_dict["NAME"]
        url = f"postgresql://app_rw:{quote(secret)}@/{name}?host={quote(str(env.RUN_DIR / 'pg'))}&port=5432"
        self._log = (folder / "workers.log").open("ab")
        self._env = {
            **os.environ,
            "DATABASE_URL": url,
            "REDIS_URL": settings.REDIS_URL,
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "NLPSUITE_ROLE": "worker-default",
            "C_FORCE_ROOT": "1",
            "REMAP_SIGTERM": "SIGQUIT",
        }
        self.workers = [self._start(*WORKER, "-n", f"w{number}@%h") for number in range(2)]
        self._beat = self._start(*CELERY, "beat", "-l", "WARNING", "-s", str(folder / "beat"), "--pidfile=")

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, cwd=settings.BASE_DIR, env=self._env, stdout=self._log, stderr=self._log, start_new_session=True
        )

    def kill(self, number: int) -> None:
        """kill -9 one worker and start another in its place."""
        self.workers[number].kill()
        self.workers[number].wait(10)
        self.workers[number] = self._start(*WORKER, "-n", f"w{number}@%h")

    def stop(self) -> None:
        for process in (*self.workers, self._beat):
            with suppress(ProcessLookupError):
                process.kill()
            process.wait(10)


@pytest.fixture
def processes(transactional_db: None, tmp_path: Path) -> Iterator[Processes]:
    running = Processes(tmp_path)
    yield running
    running.stop()


def _enqueue(tenant_id: uuid.UUID, dice: random.Random, count: int) -> None:
    for _ in range(count):
        with tenant_scope(tenant_id):
            payload = {"seconds": dice.uniform(0.05, 0.4)}
            job_enqueue(tenant_id=tenant_id, kind="test.slow", payload=payload)


def _states() -> Counter[str]:
    return Counter(JobDispatch.objects.values_list("status", flat=True))


def _wait_until(check: Any, timeout_s: float) -> float:
    """Wait until `check()`; returns the seconds it took. Goes on after the time is up, for the test to say so."""
    began = time.monotonic()
    while not check() and time.monotonic() - began < timeout_s:
        time.sleep(0.2)
    return time.monotonic() - began


def _effects(tenant_id: uuid.UUID) -> Counter[str]:
    with tenant_scope(tenant_id):
        return Counter(AuditEntry.objects.filter(action="test.effect").values_list("target", flat=True))


def test_every_job_ends_once_though_workers_are_killed_and_valkey_is_flushed(
    tenant: Any, processes: Processes, record_property: Any
) -> None:
    """B2, B3: 500 jobs, six kills, everything in Valkey gone twice. Recovery is by lease (30 s) and sweeper (10 s)."""
    dice, began = random.Random(3), time.monotonic()
    _enqueue(tenant.id, dice, 50)
    _wait_until(lambda: _states()["done"] >= 5, 60)
    for number in range(KILLS):
        _enqueue(tenant.id, dice, (JOBS - 50) // KILLS)
        time.sleep(1.5)
        if number in (1, 4):
            redis_client().flushall()
        processes.kill(number % 2)
    seen = _states()
    recovery_s = _wait_until(lambda: set(_states()) <= {"done", "dead", "failed"}, RECOVERY_S + 60)
    effects, attempts = _effects(tenant.id), Counter(JobDispatch.objects.values_list("attempts", flat=True))
    record_property("recovery_s", round(recovery_s, 1))
    print(f"\n{JOBS} jobs, {KILLS} kills, {FLUSHES} flushes: left at the last kill {dict(seen)}, all ended "
          f"{recovery_s:.1f} s after it ({time.monotonic() - began:.1f} s in all), attempts {dict(attempts)}")  # fmt: skip
    assert seen["done"] < JOBS
    assert _states() == Counter({"done": JOBS})
    assert len(effects) == JOBS
    assert set(effects.values()) == {1}
    assert recovery_s <= RECOVERY_S
