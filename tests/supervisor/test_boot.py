"""No process of the product works under a database role that row-level security does not bind (E4)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection

from nlpsuite.settings import env
from nlpsuite.supervisor.postgres import SUPERUSER

ROOT = Path(settings.BASE_DIR)
WORKER = [
    sys.executable,
    "-m",
    "celery",
    "--quiet",
    "-A",
    "nlpsuite",
    "worker",
    "-Q",
    "nobody",
    "-P",
    "threads",
    "-c",
    "1",
]
PROCESSES: dict[str, list[str]] = {
    "web": [sys.executable, "-c", "import nlpsuite.asgi; print('started')"],
    "worker": WORKER,
    "dispatcher": [sys.executable, "manage.py", "dispatch"],
}


def _url(user: str, password: str, name: str) -> str:
    return f"postgresql://{user}:{quote(password)}@/{name}?host={quote(str(env.RUN_DIR / 'pg'))}&port=5432"


def _run(command: list[str], timeout_s: float, **extra: str) -> tuple[int | None, str]:
    """Exit status and output of a process; status None when it was still running at the end."""
    given = {**os.environ, "NLPSUITE_ROLE": "worker-default", "C_FORCE_ROOT": "1", **extra}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout_s)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        process.kill()
        return None, process.communicate()[0]


@pytest.fixture
def roles(db: None) -> dict[str, dict[str, str]]:
    """The environment that connects as each role to the migrated test database."""
    secrets, name = env.secrets_read(), connection.settings_dict["NAME"]
    return {
        "owner": {"DATABASE_URL": _url("app_owner", secrets["pg_owner"], name)},
        "superuser": {"DATABASE_URL": _url(SUPERUSER, secrets["pg_superuser"], name)},
        "runtime": {"DATABASE_URL": _url("app_rw", secrets["pg_app"], name)},
    }


@pytest.mark.parametrize("role", ["owner", "superuser"])
@pytest.mark.parametrize("process", sorted(PROCESSES))
def test_a_role_that_the_wall_does_not_bind_is_refused(roles: Any, process: str, role: str) -> None:
    status, output = _run(PROCESSES[process], 40, **roles[role])
    assert status not in {0, None}, output[-2000:]
    assert "Connect as an unprivileged role" in output


def test_the_runtime_role_is_let_in(roles: Any) -> None:
    """The control of the test above."""
    status, output = _run(PROCESSES["web"], 40, **roles["runtime"])
    assert (status, output.strip().splitlines()[-1]) == (0, "started")


def test_an_iterative_scan_that_is_off_is_refused(roles: Any) -> None:
    """A mistyped setting would silently cost small organisations their search results."""
    code = (
        "from nlpsuite.settings.parts import database;"
        "database.DATABASES['default']['OPTIONS']['options'] = '-c hnsw.iterative_scan=off';"
        "import nlpsuite.asgi"
    )
    status, output = _run([sys.executable, "-c", code], 40, **roles["runtime"])
    assert status not in {0, None}
    assert "hnsw.iterative_scan" in output
