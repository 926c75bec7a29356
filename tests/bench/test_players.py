"""Players: what they answer, and what becomes of a suite when they do not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench import players
from bench.measure import Measure, measure_all
from bench.players import Absent, Lineup, Player, lineup
from bench.results import OURS


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every player is run by this interpreter, and its log kept with the test."""
    monkeypatch.setattr(players, "LOGS", tmp_path)
    monkeypatch.setattr(players, "ROOT", Path(__file__).resolve().parents[2])
    monkeypatch.setattr(Player, "python", property(lambda _self: Path(sys.executable)))


@pytest.fixture
def found() -> Iterator[Lineup]:
    with lineup([Player("echo", "echo", {"load": "well"}), Player("none", "echo", {"load": "missing"})]) as made:
        yield made


def test_a_player_tells_of_itself_and_answers(found: Lineup) -> None:
    assert found.told("echo") == {"load": "well"}
    assert found.call("echo", "double", value=21) == 42


def test_what_libraries_print_is_no_answer(found: Lineup) -> None:
    assert found.call("echo", "chatter", value=1) == 1


def test_a_player_that_cannot_load_is_missing_with_its_reason(found: Lineup) -> None:
    with pytest.raises(Absent, match="no such model"):
        found.call("none", "double", value=1)
    assert (found.missing, found.names()) == ({"none": "no such model"}, ["echo"])


def test_a_player_that_fails_is_missing_from_then_on(found: Lineup) -> None:
    with pytest.raises(Absent, match="ValueError: bad"):
        found.call("echo", "fail")
    with pytest.raises(Absent, match="ValueError: bad"):
        found.call("echo", "double", value=1)


def test_a_player_that_dies_is_missing(found: Lineup) -> None:
    with pytest.raises(Absent, match="it has ended"):
        found.call("echo", "die")


def test_a_player_that_hangs_is_missing_and_killed(found: Lineup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(players, "STOP_S", 0.2)
    pid = found.call("echo", "pid")
    with pytest.raises(Absent, match="no answer within 1 s"):
        found.call("echo", "hang", timeout_s=1)
    assert not psutil.pid_exists(pid)


def test_an_engine_of_ours_that_fails_ends_the_suite() -> None:
    with (
        lineup([Player(OURS, "echo", {"load": "missing"})]) as made,
        pytest.raises(RuntimeError, match="no such model"),
    ):
        made.call(OURS, "double", value=1)


def test_where_memory_is_short_the_player_used_longest_ago_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    known = [Player(name, "echo", {"load": "well"}, needs_mb=0) for name in ("one", "two")]
    greedy = Player("three", "echo", {"load": "well"}, needs_mb=2**40)
    with lineup([*known, greedy]) as made:
        pids = [made.call(name, "pid") for name in ("one", "two")]
        made.call("three", "pid")
        assert [psutil.pid_exists(pid) for pid in pids] == [False, False]
        assert made.call("one", "pid") not in pids


def test_no_process_is_left_behind() -> None:
    with lineup([Player("echo", "echo", {"load": "well"})]) as made:
        pid = made.call("echo", "pid")
    assert not psutil.pid_exists(pid)


def test_every_player_is_measured_in_every_repetition_in_turning_order(found: Lineup) -> None:
    order: list[tuple[str, int]] = []

    def run(player: str, number: int) -> dict[str, float]:
        order.append((player, number))
        return {"case": float(found.call("echo", "double", value=number))}

    samples = measure_all("suite", found, [Measure("case", ["echo", "other"], run)], 3)
    assert order == [("echo", 0), ("other", 0), ("other", 1), ("echo", 1), ("echo", 2), ("other", 2)]
    assert samples.median("case", "other") == 2.0


def test_a_player_that_fails_is_asked_no_more(found: Lineup) -> None:
    asked: list[str] = []

    def run(player: str, _number: int) -> dict[str, float]:
        asked.append(player)
        return {"case": float(found.call(player, "double", value=1))}

    samples = measure_all("suite", found, [Measure("case", ["echo", "none"], run)], 3)
    assert asked.count("none") == 1
    assert samples.median("case", "echo") == 2.0


def _timed(seconds: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Take five repetitions with players that need `seconds`; return who was asked in which order."""
    asked: list[str] = []
    clock = [0.0]
    monkeypatch.setattr("bench.measure.time.monotonic", lambda: clock[0])

    def run(player: str, _number: int) -> dict[str, float]:
        asked.append(player)
        clock[0] += seconds[player]
        return {"case": seconds[player]}

    with lineup([]) as made:
        measure_all("suite", made, [Measure("case", list(seconds), run)], 5)
    return asked


def test_a_peer_that_is_far_behind_is_measured_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _timed({OURS: 10.0, "near": 29.0, "far": 31.0}, monkeypatch)
    assert {name: asked.count(name) for name in (OURS, "near", "far")} == {OURS: 5, "near": 5, "far": 2}


def test_we_are_measured_every_time_however_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _timed({OURS: 100.0, "fast": 10.0}, monkeypatch)
    assert asked.count(OURS) == 5


def test_where_all_are_quick_all_are_measured_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _timed({OURS: 0.1, "slow": 9.0}, monkeypatch)
    assert asked.count("slow") == 5
