"""Text from the default chat model: our engine beside its peers, at 1, 8 and 32 streams.

    python -m bench --suite generate

Prompts of about 66 tokens that share nothing, and of about 28 tokens after 650 that all share and that a request before
has warmed; 64 new tokens, greedy. The engine is asked directly, servers over HTTP. `transformers` is called once per
request, as a plain task of a worker does. Rates are of all streams together. Greedy text is compared with transformers in
float32 on 20 questions, one at a time and all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.chat import (
    MAX_STREAMS,
    REFERENCE,
    SERIAL,
    SERIAL_PROMPTS,
    ask,
    generate_field,
    reference_folder,
    weight_bytes,
)
from bench.machine import DecoderCost, Limits, limits, machine_cases, machine_measure
from bench.measure import ROUNDS, Measure, measure_all
from bench.players import Absent, Lineup, lineup
from bench.progress import Progress
from bench.results import Case, Samples, quantiles_ms
from bench.texts import ANSWER_TOKENS, PREFIXED, SHORT, PromptTokens, prompt, questions

STREAMS = (1, 8, MAX_STREAMS)
KINDS = {SHORT: "66-token prompts", PREFIXED: "650-token shared prefix"}
RATE, FIRST, FIRST_P95 = "tokens/s", "first token, median", "first token, p95"
EQUAL_TOKENS = 60
WARM_SEED = 9_999_999
# How many of the questions a single repetition compares.
QUICK_QUESTIONS = 5


def name_of(kind: str, streams: int, metric: str) -> str:
    """Return the name of a case."""
    return f"{KINDS[kind]}, {streams} stream{'s' if streams > 1 else ''}, {metric}"


def seeds(kind: str, streams: int, number: int) -> range:
    """Return the prompts of one measure: never the same twice, so that only what is shared is cached."""
    start = 10_000 * number + 1000 * STREAMS.index(streams) + (5000 if kind == PREFIXED else 0)
    return range(start, start + streams)


def values_of(kind: str, streams: int, got: Mapping[str, Any]) -> dict[str, float]:
    """Return rate and first-token times of the answers to prompts that were given at once."""
    median, p95 = quantiles_ms(got["first_s"])
    return {
        name_of(kind, streams, RATE): sum(got["tokens"]) / got["seconds"],
        name_of(kind, streams, FIRST): median,
        name_of(kind, streams, FIRST_P95): p95,
    }


def measure_of(found: Lineup, players: list[str], kind: str, streams: int, shared: int) -> Measure:
    """Return the measure of one kind of prompt at one number of streams."""

    def run(player: str, number: int) -> dict[str, float]:
        serial = player in SERIAL and streams > 1
        wanted = seeds(kind, streams, number)
        prompts = [prompt(kind, seed) for seed in (wanted[:SERIAL_PROMPTS] if serial else wanted)]
        got = ask(found, player, prompts, max_tokens=ANSWER_TOKENS, shared=shared)
        values = values_of(kind, streams, got)
        # How long the others would have waited was not measured.
        return {name_of(kind, streams, RATE): values[name_of(kind, streams, RATE)]} if serial else values

    def warm(player: str) -> None:
        ask(found, player, [prompt(kind, WARM_SEED)], max_tokens=2, shared=shared)

    return Measure(name_of(kind, streams, RATE).rpartition(",")[0], players, run, warm)


def best_of(cost: DecoderCost | None, limit: Limits, streams: int, own: int, shared: int) -> dict[str, float]:
    """Return what the machine could do at best, by metric; nothing where the model's shape is not known."""
    if cost is None:
        return {}
    best = {RATE: cost.tokens_per_s(limit, streams=streams, own=own, shared=shared, answer=ANSWER_TOKENS)}
    for metric, prompts in ((FIRST, (streams + 1) / 2), (FIRST_P95, 0.95 * streams)):
        best[metric] = cost.first_token_s(limit, prompts=max(1.0, prompts), own=own) * 1000
    return best


def cases_of(
    samples: Samples, found: Lineup, kind: str, streams: int, best: Mapping[str, float], *, prefix: str = ""
) -> dict[str, Case]:
    """Return rate and first-token times of one measure; `prefix` stands before their names."""
    made = {}
    for metric, unit in ((RATE, "tok/s"), (FIRST, "ms"), (FIRST_P95, "ms")):
        name, higher = prefix + name_of(kind, streams, metric), metric == RATE
        made[name] = samples.case(name, unit, higher=higher, limit=best.get(metric), missing=found.missing)
    return made


def equal_texts(found: Lineup, players: list[str], count: int) -> dict[str, Case]:
    """Return the share of questions whose greedy text is the reference's, asked one at a time and all at once."""
    asked, samples = questions()[:count], Samples()
    singly, at_once = f"greedy text of float32, {count} questions, one at a time", f"the same, {count} at once"
    progress = Progress("generate", 2 * len(players))

    def texts(player: str, prompts: list) -> list[str]:
        return [text.strip() for text in ask(found, player, prompts, max_tokens=EQUAL_TOKENS)["texts"]]

    ways: dict[str, Callable[[str], list[str]]] = {
        singly: lambda player: [text for one in asked for text in texts(player, [one])],
        at_once: lambda player: texts(player, asked),
    }
    progress.step(f"{singly}, {REFERENCE}")
    wanted = texts(REFERENCE, asked)
    for way, answers in ways.items():
        for player in players:
            if player in found.missing or player == REFERENCE or (way == at_once and player in SERIAL):
                progress.drop(1)
                continue
            progress.step(f"{way}, {player}")
            try:
                got = answers(player)
            except Absent:
                continue
            samples.add(way, player, sum(a == b for a, b in zip(got, wanted, strict=True)) / count)
    return {way: samples.case(way, "share", higher=True, limit=1.0, missing=found.missing) for way in ways}


def run(rounds: int = ROUNDS) -> dict[str, Case]:
    """Return all cases of this suite."""
    field, folder = generate_field(), reference_folder()
    counted = {kind: PromptTokens(folder).own_and_shared(kind) if folder else (0, 0) for kind in KINDS}
    players = [player.name for player in field.players[1:]]
    with lineup(field.players, missing=field.missing) as found:
        steps = [(kind, streams) for kind in KINDS for streams in STREAMS]
        measures = [measure_of(found, players, kind, streams, counted[kind][1]) for kind, streams in steps]
        samples = measure_all("generate", found, [machine_measure(found), *measures], rounds)
        limit = limits(samples)
        cost = DecoderCost.of(folder, weight_bytes(found)) if folder else None
        cases: dict[str, Case] = {}
        for kind, streams in steps:
            cases |= cases_of(samples, found, kind, streams, best_of(cost, limit, streams, *counted[kind]))
        if REFERENCE in found.names():
            questions_asked = len(questions()) if rounds > 1 else QUICK_QUESTIONS
            cases |= equal_texts(found, players, questions_asked)
        return cases | machine_cases(samples)
