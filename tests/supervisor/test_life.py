"""One installation from its start to its end, twice: nothing is left behind, whoever dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import httpx
import psutil
import pytest

from tests.stack import ROOT, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]
ROLES = {"web", "worker-inference", "worker-default", "worker-batch", "dispatcher", "beat", "postgres", "valkey"}
# Those that are back at once; the inference worker loads its models again.
QUICK = sorted(ROLES - {"worker-inference"})


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An installation of this module's own, which its tests may kill. They run in the order of the file."""
    running = Stack(tmp_path_factory.mktemp("life"))
    running.start()
    yield running
    running.stop()


def _until(check: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError, KeyError, httpx.HTTPError, psutil.Error):
            if check():
                return True
        time.sleep(0.1)
    return False


def _processes(stack: Stack) -> list[psutil.Process]:
    """Every process that has this installation's folder in its command line or environment, the tests excepted."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                given = " ".join(process.cmdline()) + process.environ().get("DATA_DIR", "")
                if str(stack.data) in given:
                    found.append(process)
    return found


def _readiness(stack: Stack) -> tuple[int, list[str]]:
    response = httpx.get(f"{stack.base}/readyz", timeout=20)
    return response.status_code, response.json().get("missing", [])


def test_run_json_names_the_processes_of_every_role(own: Stack) -> None:
    roles = own.roles()
    assert set(roles) == ROLES
    assert [role for role, pids in roles.items() if not [p for p in pids if psutil.pid_exists(p)]] == []
    assert all(psutil.Process(pid).ppid() == own.process.pid for pids in roles.values() for pid in pids)  # type: ignore[union-attr]


def test_secrets_are_readable_by_their_owner_only(own: Stack) -> None:
    modes = {name: (own.data / name).stat().st_mode & 0o777 for name in ("demo.json", "secrets.json")}
    assert modes == {"demo.json": 0o600, "secrets.json": 0o600}


def test_the_services_listen_on_no_port(own: Stack) -> None:
    services = [psutil.Process(pid) for role in ("postgres", "valkey") for pid in own.roles()[role]]
    assert [c.laddr for process in services for c in process.net_connections("inet")] == []


def test_the_web_process_never_loads_torch(own: Stack) -> None:
    httpx.get(f"{own.base}/").raise_for_status()
    with own.client() as client:
        client.get("/api/v1/knowledge/search", params={"q": "widget"}).raise_for_status()
    (pid,) = own.roles()["web"]
    loaded = {m.path for m in psutil.Process(pid).memory_maps()}
    assert [path for path in loaded if "torch" in path or "openvino" in path] == []


def test_a_second_up_says_that_it_is_running_already(own: Stack) -> None:
    before = own.roles()
    second = subprocess.run(
        [sys.executable, "manage.py", "up"],
        cwd=ROOT,
        env={**os.environ, "DATA_DIR": str(own.data), "PORT": str(own.port)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert "already running" in second.stderr
    assert own.roles() == before
    assert httpx.get(f"{own.base}/healthz").status_code == 200


def test_readiness_names_what_is_away_and_liveness_stays(own: Stack) -> None:
    """K11: each part frozen in turn; named within 10 s (15 s for workers, whose sign of life lasts 10), back after."""
    named = {
        "postgres": "database",
        "valkey": "redis",
        "worker-default": "worker-default",
        "worker-batch": "worker-batch",
    }
    found = {role: _frozen(own, role, part) for role, part in named.items()}
    assert found == dict.fromkeys(named, (True, 200, True))


def _frozen(stack: Stack, role: str, part: str) -> tuple[bool, int, bool]:
    """Freeze a role: whether readiness names it in time, liveness meanwhile, whether all is well again after."""
    first = psutil.Process(stack.roles()[role][0])
    frozen = [first, *first.children(recursive=True)]
    for process in frozen:
        process.suspend()
    try:
        in_time = _until(lambda: _readiness(stack) == (503, [part]), 15 if role.startswith("worker") else 10)
        alive = httpx.get(f"{stack.base}/healthz", timeout=10).status_code
    finally:
        for process in frozen:
            with contextlib.suppress(psutil.Error):
                process.resume()
    return in_time, alive, _until(lambda: _readiness(stack)[0] == 200, 30)


@pytest.mark.parametrize("role", QUICK)
def test_a_killed_child_starts_again(own: Stack, role: str) -> None:
    (before,) = own.roles()[role]
    own.kill(role)
    assert _until(lambda: own.roles()[role] not in ([], [before]), 15)
    assert _until(lambda: _readiness(own)[0] == 200, 40)
    assert "ended with status -9" in own.log()


def test_killing_the_supervisor_leaves_no_process(own: Stack) -> None:
    children = [pid for pids in own.roles().values() for pid in pids]
    own.process.kill()  # type: ignore[union-attr]
    own.process.wait(10)  # type: ignore[union-attr]
    assert _until(lambda: not any(psutil.pid_exists(pid) for pid in children), 15)
    assert _until(lambda: _processes(own) == [], 15)


def test_the_next_start_works_and_keeps_the_data(own: Stack) -> None:
    key = own.demo["api_key"]
    own.log_path.unlink()
    began = time.monotonic()
    own.start()
    with own.client() as client:
        found = client.get("/api/v1/accounts/me").raise_for_status().json()
    assert own.demo["api_key"] == key
    assert found["organization"]["slug"] == "demo"
    assert own.log().count("Ready: ") == 1
    assert "Seeding" not in own.log()
    assert time.monotonic() - began < 120


def test_sigterm_stops_everything_within_15_seconds(own: Stack) -> None:
    children = [pid for pids in own.roles().values() for pid in pids]
    took_s = own.stop()
    assert took_s < 15
    assert own.process.returncode == 0  # type: ignore[union-attr]
    assert [pid for pid in children if psutil.pid_exists(pid)] == []
    assert _processes(own) == []
    assert [name for name in ("run.json", "children.json") if (own.data / name).exists()] == []


def test_ctrl_c_while_starting_leaves_nothing(own: Stack) -> None:
    """The third start is interrupted before it is ready."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "up"],
        cwd=ROOT,
        env={**os.environ, "DATA_DIR": str(own.data), "PORT": str(own.port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert _until(lambda: len(own.roles()) >= 4, 60)
    process.send_signal(signal.SIGINT)
    process.wait(20)
    assert _until(lambda: _processes(own) == [], 5)
