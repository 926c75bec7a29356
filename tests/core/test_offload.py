"""Long texts in processes of their own: what comes back, an end to what takes too long, turns between organisations."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from apps.core import offload as module
from apps.core.errors import Busy, DeadlineExceeded, Invalid, Unavailable
from apps.core.offload import Turns, offload, offload_stop
from tests.core import offloaded

WAIT_S = 60.0
TENANT = uuid.uuid4()
LONG = 10**6


@pytest.fixture
def processes(settings: Any) -> Iterator[None]:
    settings.OFFLOAD_PROCESSES = 1
    yield
    offload_stop()


@pytest.mark.usefixtures("processes")
def test_a_short_text_is_read_here_and_a_long_one_elsewhere_behind_everything_else(settings: Any) -> None:
    assert offload(offloaded.where, TENANT, settings.OFFLOAD_CHARS, WAIT_S)[0] == os.getpid()
    pid, priority = offload(offloaded.where, TENANT, settings.OFFLOAD_CHARS + 1, WAIT_S)
    assert pid != os.getpid()
    assert priority > os.getpriority(os.PRIO_PROCESS, 0)


def test_a_worker_reads_everything_itself() -> None:
    assert offload(offloaded.where, TENANT, LONG, WAIT_S)[0] == os.getpid()


@pytest.mark.usefixtures("processes")
def test_a_refusal_comes_back_whole() -> None:
    with pytest.raises(Invalid) as caught:
        offload(offloaded.refuse, TENANT, LONG, WAIT_S)
    error = caught.value
    assert (error.code, error.message, error.details, error.retry_after_s) == ("not_this", "No.", {"place": 3}, 1.5)
    with pytest.raises(ValueError, match="a fault"):
        offload(offloaded.fail, TENANT, LONG, WAIT_S)


@pytest.mark.usefixtures("processes")
def test_what_takes_too_long_is_killed_and_the_next_text_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GRACE_S", 0.0)
    before, _ = offload(offloaded.where, TENANT, LONG, WAIT_S)
    with pytest.raises(DeadlineExceeded):
        offload(offloaded.endless, TENANT, LONG, 0.5)
    after, _ = offload(offloaded.where, TENANT, LONG, WAIT_S)
    assert after != before
    assert not psutil.pid_exists(before)


@pytest.mark.usefixtures("processes")
def test_a_process_that_ends_by_itself_is_replaced() -> None:
    with pytest.raises(Unavailable):
        offload(offloaded.die, TENANT, LONG, WAIT_S)
    assert offload(offloaded.where, TENANT, LONG, WAIT_S)[0] != os.getpid()


@pytest.mark.usefixtures("processes")
def test_a_process_of_this_kind_starts_no_other() -> None:
    outer, inner = offload(offloaded.nested, TENANT, LONG, WAIT_S)
    assert outer == inner != os.getpid()


def test_they_end_with_the_web_process_however_it_ends(tmp_path: Path) -> None:
    script = (
        "import os, uuid; import django; django.setup()\n"
        "from django.conf import settings; settings.OFFLOAD_PROCESSES = 2\n"
        "from apps.core.offload import offload\nfrom tests.core import offloaded\n"
        "if __name__ == '__main__':\n"
        "    print(offload(offloaded.where, uuid.uuid4(), 10**6, 60)[0], flush=True)\n"
        "    input()\n"
    )
    path = tmp_path / "web.py"
    path.write_text(script)
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    web = subprocess.Popen(
        [sys.executable, str(path)], env=environment, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert web.stdout is not None
    assert int(web.stdout.readline())
    children = psutil.Process(web.pid).children(recursive=True)
    assert len(children) >= 3
    web.kill()
    web.wait()
    _, alive = psutil.wait_procs(children, timeout=WAIT_S)
    assert alive == []


def _wait(turns: Turns, key: str, order: list[str], name: str) -> threading.Thread:
    def go() -> None:
        with turns.turn(key, WAIT_S):
            order.append(name)

    before = sum(map(len, turns._waiting.values()))
    thread = threading.Thread(target=go)
    thread.start()
    while sum(map(len, turns._waiting.values())) == before:
        time.sleep(0.001)
    return thread


def test_organisations_take_turns_however_many_wait() -> None:
    turns, order = Turns(1, 64), list[str]()
    with turns.turn("many", WAIT_S):
        threads = [_wait(turns, "many", order, f"m{number}") for number in range(5)]
        threads += [_wait(turns, "one", order, "one"), _wait(turns, "other", order, "other")]
    for thread in threads:
        thread.join(WAIT_S)
    assert order == ["m0", "one", "other", "m1", "m2", "m3", "m4"]


def test_one_organisation_leaves_half_of_the_waiting_places() -> None:
    turns, order = Turns(1, 4), list[str]()
    with turns.turn("many", WAIT_S):
        threads = [_wait(turns, "many", order, "m") for _ in range(2)]
        with pytest.raises(Busy), turns.turn("many", WAIT_S):
            pass
        threads += [_wait(turns, "one", order, "o") for _ in range(2)]
        with pytest.raises(Busy), turns.turn("other", WAIT_S):
            pass
    for thread in threads:
        thread.join(WAIT_S)
    assert sorted(order) == ["m", "m", "o", "o"]


def test_who_waits_longer_than_the_call_may_take_gives_the_place_up() -> None:
    turns, order = Turns(1, 64), list[str]()
    with turns.turn("a", WAIT_S):
        with pytest.raises(DeadlineExceeded), turns.turn("b", 0.05):
            pass
        thread = _wait(turns, "c", order, "c")
    thread.join(WAIT_S)
    assert order == ["c"]
    assert not turns._waiting


def test_one_organisation_holds_half_of_the_places() -> None:
    turns, order = Turns(4, 64), list[str]()
    with turns.turn("many", WAIT_S), turns.turn("many", WAIT_S):
        thread = _wait(turns, "many", order, "third")
        with turns.turn("one", WAIT_S), turns.turn("other", WAIT_S):
            assert order == []
    thread.join(WAIT_S)
    assert order == ["third"]
