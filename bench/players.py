"""The parent's side of `peers.protocol`: processes that are measured, one after the other, never at once."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bench.paths import CACHE, LOGS, PEER_PYTHON, PRODUCT_PYTHON, ROOT
from bench.progress import say
from bench.results import OURS

START_S = 240.0
CALL_S = 600.0
STOP_S = 15.0


class Absent(Exception):
    """A player that cannot be measured, and why."""


@dataclass(frozen=True)
class Player:
    """A module of `bench.peers` with its options. `needs_mb` is what it takes when it is loaded."""

    name: str
    module: str
    options: Mapping[str, Any] = field(default_factory=dict)
    needs_mb: int = 1500

    @property
    def python(self) -> Path:
        return PRODUCT_PYTHON if self.module in ("ours", "machine") else PEER_PYTHON


class Process:
    """One running player."""

    def __init__(self, player: Player) -> None:
        if not player.python.exists():
            raise Absent(f"{player.python.relative_to(ROOT)} is missing: run `make bench`, which makes it")
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log = LOGS / f"{player.name.replace(' ', '-').replace('/', '-')}.log"
        # No address is looked up: a missing file is an error, not a download.
        env = {**os.environ, "HF_HUB_OFFLINE": "1", "DATA_DIR": str(CACHE)}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [player.python, "-m", f"bench.peers.{player.module}", json.dumps(dict(player.options))],
                cwd=ROOT,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            answer = self._answer(START_S)
            if "ready" not in answer:
                raise Absent(answer["missing"])
        except BaseException:
            self.stop()
            raise
        self.told: dict[str, Any] = answer["ready"]

    def call(self, do: str, timeout_s: float = CALL_S, **arguments: Any) -> Any:
        """Return the answer. Raises Absent: an error, an end, no answer in time."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise Absent(f"it has ended; see {self.log.name} in .data/bench/logs") from error
        answer = self._answer(timeout_s)
        if "error" in answer:
            raise Absent(answer["error"])
        return answer["result"]

    def stop(self) -> None:
        """Close its stdin; kill it and its children when that does not end it."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _answer(self, timeout_s: float) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            raise Absent(f"no answer within {timeout_s:.0f} s") from None
        if not line:
            raise Absent(f"it has ended; see {self.log.name} in .data/bench/logs")
        return json.loads(line)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")


class Lineup:
    """The players of a suite, started when first called. Where memory is short, those called longest ago stop."""

    def __init__(self, players: Sequence[Player], *, missing: Mapping[str, str] | None = None) -> None:
        self._players = {player.name: player for player in players}
        self._running: dict[str, Process] = {}
        self.missing: dict[str, str] = dict(missing or {})

    def names(self) -> list[str]:
        """Return who can still be measured."""
        return [name for name in self._players if name not in self.missing]

    def told(self, name: str) -> dict[str, Any]:
        """Return what a player says of itself, starting it. Raises Absent."""
        return self._process(name).told

    def call(self, name: str, do: str, **arguments: Any) -> Any:
        """Return the answer of one player. Raises Absent, and from then on the player is missing.

        Raises RuntimeError when it is ours: a benchmark without us is none.
        """
        try:
            return self._process(name).call(do, **arguments)
        except Absent as error:
            self.lose(name, str(error))
            raise

    def stop(self) -> None:
        """End all processes."""
        while self._running:
            self._running.popitem()[1].stop()

    def _process(self, name: str) -> Process:
        if name in self.missing:
            raise Absent(self.missing[name])
        if name in self._running:
            # Moved to the end: the order is that of use.
            self._running[name] = self._running.pop(name)
        else:
            self._make_room(self._players[name].needs_mb)
            say(f"starting {name}")
            try:
                self._running[name] = Process(self._players[name])
            except Absent as error:
                self.lose(name, str(error))
                raise
        return self._running[name]

    def _make_room(self, needs_mb: int) -> None:
        while self._running and psutil.virtual_memory().available < needs_mb * 2**20:
            oldest = next(iter(self._running))
            say(f"stopping {oldest}: memory is short")
            self._running.pop(oldest).stop()

    def lose(self, name: str, why: str) -> None:
        self.missing[name] = " ".join(why.split())[:300]
        say(f"not measured: {name}: {self.missing[name]}")
        if name in self._running:
            self._running.pop(name).stop()
        if name == OURS:
            raise RuntimeError(f"our own engine: {self.missing[name]}")


@contextlib.contextmanager
def lineup(players: Sequence[Player], *, missing: Mapping[str, str] | None = None) -> Iterator[Lineup]:
    """Yield the players and end their processes."""
    made = Lineup(players, missing=missing)
    try:
        yield made
    finally:
        made.stop()
