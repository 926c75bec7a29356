"""Sentence embeddings: our engine beside plain sentence-transformers and CTranslate2.

    python -m bench --suite embed

600 texts of 5 to 120 words, by one caller in calls of 256 and of 64 (peers get them in one call and sort them themselves,
in batches of 32), and single texts one after the other. Vectors are compared with sentence-transformers in float32.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from apps.inference.catalogue import MINILM
from bench import materials
from bench.chat import Field
from bench.machine import MACHINE, encoder_rate, limits, machine_cases, machine_measure
from bench.measure import ROUNDS, Measure, measure_all
from bench.players import Lineup, Player, lineup
from bench.results import OURS, Case, case
from bench.texts import texts

COUNT, SINGLES = 600, 40
PEER_BATCH = 32
REFERENCE = "sentence-transformers float32"
LARGE, SMALL, SINGLE = f"{COUNT} texts, calls of 256", f"{COUNT} texts, calls of 64", "one text at a time"
COSINE = f"lowest cosine to float32, {COUNT} texts"


def embed_field() -> Field:
    """Return everyone."""
    field = Field([MACHINE, Player(OURS, "ours", {"roles": ["embedding"]})], {})
    field.add(REFERENCE, "sentence_encode", materials.embedding_folder, dtype="float32")
    field.add("sentence-transformers bfloat16", "sentence_encode", materials.embedding_folder, dtype="bfloat16")
    for kind in ("int8", "float32"):
        field.add(
            f"CTranslate2 {kind}",
            "ctranslate2_encode",
            materials.ctranslate2_encoder,
            compute_type=kind,
            max_tokens=MINILM.context_tokens,
        )
    return field


def vectors_of(answer: dict[str, Any]) -> np.ndarray:
    """Return float32 (n, dim) of an answer to "embed"."""
    return np.frombuffer(base64.b64decode(answer["vectors"]), dtype="<f4").reshape(-1, MINILM.dim)


def measures_of(found: Lineup, players: list[str], sample: list[str], kept: dict[str, np.ndarray]) -> list[Measure]:
    """Return the measures; the vectors of the last repetition are left in `kept`."""

    def whole(name: str, at_once: int) -> Measure:
        def run(player: str, _round: int) -> dict[str, float]:
            answer = found.call(player, "embed", texts=sample, at_once=at_once if player == OURS else PEER_BATCH)
            kept[player] = vectors_of(answer)
            return {name: len(sample) / answer["seconds"]}

        return Measure(name, players, run, warm)

    def single(player: str, _round: int) -> dict[str, float]:
        seconds = sum(found.call(player, "embed", texts=[text], at_once=1)["seconds"] for text in sample[:SINGLES])
        return {SINGLE: SINGLES / seconds}

    def warm(player: str) -> None:
        found.call(player, "embed", texts=sample[:PEER_BATCH], at_once=PEER_BATCH)

    return [whole(LARGE, 256), whole(SMALL, 64), Measure(SINGLE, players, single, warm)]


def run(rounds: int = ROUNDS) -> dict[str, Case]:
    """Return all cases of this suite."""
    field, sample = embed_field(), texts(COUNT)
    players = [player.name for player in field.players[1:]]
    kept: dict[str, np.ndarray] = {}
    with lineup(field.players, missing=field.missing) as found:
        measures = measures_of(found, players, sample, kept)
        samples = measure_all("embed", found, [machine_measure(found), *measures], rounds)
        best, best_single = None, None
        if REFERENCE in kept:
            lengths = found.call(REFERENCE, "lengths", texts=sample)
            best, best_single = (
                encoder_rate(materials.embedding_folder(), part, limits(samples))
                for part in (lengths, lengths[:SINGLES])
            )
        cases = {
            name: samples.case(name, "texts/s", higher=True, limit=limit, missing=found.missing)
            for name, limit in ((LARGE, best), (SMALL, best), (SINGLE, best_single))
        }
        if REFERENCE in kept:
            near = {name: float((rows * kept[REFERENCE]).sum(axis=1).min()) for name, rows in kept.items()}
            peers = {name: value for name, value in near.items() if name not in (OURS, REFERENCE)}
            cases[COSINE] = case(near[OURS], peers, "cosine", higher=True, limit=1.0)
        return cases | machine_cases(samples)
