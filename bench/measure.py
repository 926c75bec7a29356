"""The order of a suite: in each repetition every case, in each case every player, so that drift meets all alike."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.players import Absent, Lineup
from bench.progress import Progress
from bench.results import OURS, Samples

ROUNDS = 5
# A peer that needed this many times as long as the fastest in each of its first repetitions is far behind: no further
# repetition can change who is best, and it would take most of the suite's time.
_FAR_BEHIND, _SEEN, _WORTH_SPARING_S = 3.0, 2, 10.0


@dataclass(frozen=True)
class Measure:
    """One step: `run(player, round)` gives values by case name; `warm(player)` goes before it, untimed."""

    name: str
    players: Sequence[str]
    run: Callable[[str, int], Mapping[str, float]]
    warm: Callable[[str], None] | None = None


def measure_all(suite: str, lineup: Lineup, measures: Sequence[Measure], rounds: int) -> Samples:
    """Take every measure `rounds` times. A player that fails is left out from then on, with its reason in the lineup;
    one that is far behind in a measure is spared its further repetitions."""
    samples = Samples()
    progress = Progress(suite, rounds * sum(len(measure.players) for measure in measures))
    clock = _Clock()
    for number in range(rounds):
        for measure in measures:
            # Nobody always comes first, or always after the same neighbour.
            shift = number % len(measure.players)
            for player in [*measure.players[shift:], *measure.players[:shift]]:
                if player in lineup.missing or clock.is_far_behind(measure.name, player):
                    progress.drop(1)
                    continue
                progress.step(f"{measure.name}, repetition {number + 1} of {rounds}, {player}")
                try:
                    if measure.warm is not None:
                        measure.warm(player)
                    began = time.monotonic()
                    values = measure.run(player, number)
                except Absent:
                    continue
                clock.add(measure.name, player, time.monotonic() - began)
                for case_name, value in values.items():
                    samples.add(case_name, player, value)
    return samples


class _Clock:
    """Seconds that the players needed, by measure."""

    def __init__(self) -> None:
        self._took: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def add(self, measure: str, player: str, took_s: float) -> None:
        self._took[measure][player].append(took_s)

    def is_far_behind(self, measure: str, player: str) -> bool:
        """Return whether a peer needs no further repetition of a measure. We always take all."""
        took = self._took[measure]
        if player == OURS or len(took[player]) < _SEEN:
            return False
        fastest = min(min(times) for times in took.values() if times)
        return min(took[player]) > max(_WORTH_SPARING_S, _FAR_BEHIND * fastest)
