"""Classification: our engine beside the `pipeline` of transformers.

    python -m bench --suite classify

No classifier comes as a package: this one is the packaged sentence encoder under a head of fixed random weights, with a
bias that lets each of its three labels win about as often. Labels are compared with the pipeline in float32.
"""

from __future__ import annotations

from typing import Any

from bench import materials
from bench.chat import Field
from bench.machine import MACHINE, encoder_rate, limits, machine_cases, machine_measure
from bench.measure import ROUNDS, Measure, measure_all
from bench.players import Lineup, Player, lineup
from bench.results import OURS, Case, case
from bench.texts import texts

COUNT, SINGLES = 600, 60
PIPELINE, PIPELINE_BF16 = "transformers pipeline float32", "transformers pipeline bfloat16"
# The pipeline called once per text is a peer of its own, with the same process behind it.
SINGLY = "one text at a time"
WHOLE, SINGLE = f"{COUNT} texts", SINGLY
AGREE = f"labels of float32, {COUNT} texts"


def classify_field() -> Field:
    """Return everyone. Raises Absent where the classifier cannot be made."""
    folder = materials.classifier()
    field = Field([MACHINE, Player(OURS, "ours", {"roles": ["classifier"], "classifier": str(folder)})], {})
    field.add(PIPELINE, "transformers_pipeline", materials.classifier, dtype="float32")
    field.add(PIPELINE_BF16, "transformers_pipeline", materials.classifier, dtype="bfloat16")
    return field


def measures_of(found: Lineup, players: list[str], sample: list[str], kept: dict[str, list[str]]) -> list[Measure]:
    """Return the measures; the labels of the last repetition are left in `kept`."""

    def rate(player: str, part: list[str], at_once: int) -> float:
        answer: dict[str, Any] = found.call(player, "classify", texts=part, at_once=at_once)
        if len(part) == len(sample):
            kept[player] = answer["labels"]
        return len(part) / answer["seconds"]

    def whole(player: str, _round: int) -> dict[str, float]:
        return {WHOLE: rate(player, sample, 256 if player == OURS else 32)}

    def single(player: str, _round: int) -> dict[str, float]:
        return {SINGLE: rate(player, sample[:SINGLES], 1)}

    def warm(player: str) -> None:
        found.call(player, "classify", texts=sample[:32], at_once=32)

    return [Measure(WHOLE, players, whole, warm), Measure(SINGLE, players, single, warm)]


def run(rounds: int = ROUNDS) -> dict[str, Case]:
    """Return all cases of this suite."""
    field, sample = classify_field(), texts(COUNT)
    players = [player.name for player in field.players[1:]]
    kept: dict[str, list[str]] = {}
    with lineup(field.players, missing=field.missing) as found:
        measures = measures_of(found, players, sample, kept)
        samples = measure_all("classify", found, [machine_measure(found), *measures], rounds)
        best, best_single = None, None
        if PIPELINE in kept:
            lengths = found.call(PIPELINE, "lengths", texts=sample)
            best, best_single = (
                encoder_rate(materials.classifier(), part, limits(samples)) for part in (lengths, lengths[:SINGLES])
            )
        cases = {
            WHOLE: samples.case(WHOLE, "texts/s", higher=True, limit=best, missing=found.missing),
            SINGLE: samples.case(SINGLE, "texts/s", higher=True, limit=best_single, missing=found.missing),
        }
        # What a plain task does, against what the engine makes of many of them: the aim is five times.
        peers = {
            f"{name}, {SINGLY}": samples.median(SINGLE, name) for name in (PIPELINE, PIPELINE_BF16) if name in kept
        }
        cases[f"{WHOLE}, beside the pipeline {SINGLY}"] = case(
            samples.median(WHOLE, OURS), peers, "texts/s", higher=True, limit=best
        )
        if PIPELINE in kept:
            agree = {
                name: sum(a == b for a, b in zip(labels, kept[PIPELINE], strict=True)) / COUNT
                for name, labels in kept.items()
            }
            others = {name: value for name, value in agree.items() if name not in (OURS, PIPELINE)}
            cases[AGREE] = case(agree[OURS], others, "share", higher=True, limit=1.0)
        return cases | machine_cases(samples)
