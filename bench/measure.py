"""The order of a suite: in each repetition every case, in each case every player, so that drift meets all alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.players import Absent, Lineup
from bench.progress import Progress
from bench.results import Samples

ROUNDS = 5


@dataclass(frozen=True)
class Measure:
    """One step: `run(player, round)` gives values by case name; `warm(player)` goes before it, untimed."""

    name: str
    players: Sequence[str]
    run: Callable[[str, int], Mapping[str, float]]
    warm: Callable[[str], None] | None = None


def measure_all(suite: str, lineup: Lineup, measures: Sequence[Measure], rounds: int) -> Samples:
    """Take every measure `rounds` times. A player that fails is left out from then on, with its reason in the lineup."""
    samples = Samples()
    progress = Progress(suite, rounds * sum(len(measure.players) for measure in measures))
    for number in range(rounds):
        for measure in measures:
            # Nobody always comes first, or always after the same neighbour.
            shift = number % len(measure.players)
            for player in [*measure.players[shift:], *measure.players[:shift]]:
                if player in lineup.missing:
                    progress.drop(1)
                    continue
                progress.step(f"{measure.name}, repetition {number + 1} of {rounds}, {player}")
                try:
                    if measure.warm is not None:
                        measure.warm(player)
                    values = measure.run(player, number)
                except Absent:
                    continue
                for case_name, value in values.items():
                    samples.add(case_name, player, value)
    return samples
