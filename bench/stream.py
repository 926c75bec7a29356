"""End to end: the running product through HTTP and through its sockets, beside the raw engine and other servers.

    python -m bench --suite stream

`POST /v1/chat/completions` with streaming, the prompts and streams of the suite `generate`; the peer `engine` is our
engine in a process of its own without the product, so that the ratio to it is what the product costs. Drafts through the
staff socket include finding the passages and checking the sentences; `engine` then answers the same prompts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import generate, sockets
from bench.chat import MAX_STREAMS, Field, add_servers, reference_folder
from bench.load import complete_all
from bench.machine import MACHINE, DecoderCost, limits, machine_cases, machine_measure
from bench.measure import ROUNDS, Measure, measure_all
from bench.players import Lineup, Player, lineup
from bench.product import product
from bench.results import OURS, Case, Samples, case, quantiles_ms, table
from bench.retrieval.corpus import DEVELOPERS_REFERENCE
from bench.texts import ANSWER_TOKENS, PromptTokens, prompt
from tests.stack import Stack

ENGINE = "engine"
AT_ONCE = (1, 8, MAX_STREAMS)
VISITORS = (1, 8)
# One at a time gives too few values a repetition.
SINGLE_REPEATS = 4
ROUTE = "chat completions"


def through_http(stack: Stack, found: Lineup, players: list[str], kind: str, streams: int) -> Measure:
    """Return the measure of one kind of prompt through `/v1/chat/completions`."""
    plain = generate.measure_of(found, players, kind, streams, 0)
    model, key = stack.demo["chat_model"], stack.demo["api_key"]

    def answer(prompts: list[Any], max_tokens: int) -> dict[str, Any]:
        return complete_all(stack.base, model, prompts, max_tokens=max_tokens, api_key=key)

    def run(player: str, number: int) -> dict[str, float]:
        if player != OURS:
            return {f"{ROUTE}, {name}": value for name, value in plain.run(player, number).items()}
        got = answer([prompt(kind, seed) for seed in generate.seeds(kind, streams, number)], ANSWER_TOKENS)
        return {f"{ROUTE}, {name}": value for name, value in generate.values_of(kind, streams, got).items()}

    def warm(player: str) -> None:
        if player != OURS and plain.warm is not None:
            plain.warm(player)
        else:
            answer([prompt(kind, generate.WARM_SEED)], 2)

    return Measure(f"{ROUTE}, {plain.name}", players, run, warm)


def draft_rate(count: int) -> str:
    """Return the name of the case of so many drafts at once."""
    return f"staff socket, {count} draft{'s' if count > 1 else ''} at once, tokens/s"


def through_staff_socket(
    stack: Stack, found: Lineup, tokens: PromptTokens, count: int, supply: dict[int, list[str]], added: list[float]
) -> Measure:
    """Return the measure of drafts; `added` gets the seconds between the engine's first token and the agent's."""

    def run(player: str, number: int) -> dict[str, float]:
        # No question twice in a repetition: its passages would be cached.
        start = sum(other for other in AT_ONCE if other < count)
        texts = supply[number][start : start + count]
        if player == OURS:
            written, seconds = sockets.drafts(stack, texts)
            added.extend(draft.added_s for draft in written if draft.added_s is not None)
            return {draft_rate(count): sum(tokens.count(draft.text) for draft in written) / seconds}
        prompts, most, stop = sockets.draft_prompts(stack, texts)
        got = found.call(player, "generate", prompts=prompts, max_tokens=most, stop=stop)
        return {draft_rate(count): sum(tokens.count(text) for text in got["texts"]) / got["seconds"]}

    return Measure(draft_rate(count), [OURS, ENGINE], run)


def visitor_cases(stack: Stack, supply: Iterator[str], rounds: int) -> dict[str, Case]:
    """Return what delivery and the check of sentences add for visitors."""
    cases: dict[str, Case] = {}
    for count in VISITORS:
        values: dict[str, list[float]] = {}
        for _ in range(rounds if count > 1 else rounds * SINGLE_REPEATS):
            for name, seconds in sockets.visits(stack, [next(supply) for _ in range(count)]).items():
                values.setdefault(name, []).extend(seconds)
        for name, seconds in values.items():
            cases |= added_cases(f"visitor socket, {count} at once, {name}", seconds)
    return cases


def added_cases(label: str, seconds: list[float]) -> dict[str, Case]:
    """Return median and 95th percentile of what was added, none without values."""
    if not seconds:
        return {}
    parts = zip(("median", "p95"), quantiles_ms(seconds), strict=True)
    return {f"{label}, {part} (n={len(seconds)})": case(value, {}, "ms", higher=False) for part, value in parts}


def http_cases(
    samples: Samples, found: Lineup, counted: dict[str, tuple[int, int]], folder: Path | None
) -> dict[str, Case]:
    """Return rate and first-token times through HTTP."""
    limit = limits(samples)
    cost = DecoderCost.of(folder, float(found.told(ENGINE)["weight_bytes"])) if folder else None
    cases: dict[str, Case] = {}
    for kind, streams in itertools.product(generate.KINDS, AT_ONCE):
        best = generate.best_of(cost, limit, streams, *counted[kind])
        cases |= generate.cases_of(samples, found, kind, streams, best, prefix=f"{ROUTE}, ")
    return cases


def run(rounds: int = ROUNDS) -> dict[str, Case]:
    """Start a product of its own, measure, stop it; return the cases."""
    folder = reference_folder()
    tokens = PromptTokens(folder) if folder else None
    counted = {kind: tokens.own_and_shared(kind) if tokens else (0, 0) for kind in generate.KINDS}
    field = Field([MACHINE, Player(ENGINE, "ours", {"roles": ["chat"]}, needs_mb=2000)], {})
    add_servers(field)
    players = [OURS, *(player.name for player in field.players[1:])]
    added: dict[int, list[float]] = {count: [] for count in AT_ONCE}
    with product() as stack, lineup(field.players, missing=field.missing) as found:
        measures = [machine_measure(found)]
        measures += [
            through_http(stack, found, players, kind, streams)
            for kind, streams in itertools.product(generate.KINDS, AT_ONCE)
        ]
        has_documents = DEVELOPERS_REFERENCE.exists()
        supply = itertools.cycle(sockets.asked()) if has_documents else iter(())
        if has_documents and tokens is not None:
            sockets.ingest(stack)
            texts = {number: list(itertools.islice(supply, sum(AT_ONCE))) for number in range(rounds)}
            measures += [through_staff_socket(stack, found, tokens, n, texts, added[n]) for n in AT_ONCE]
        samples = measure_all("stream", found, measures, rounds)
        cases = http_cases(samples, found, counted, folder)
        if has_documents and tokens is not None:
            cases |= {draft_rate(n): samples.case(draft_rate(n), "tok/s", higher=True) for n in AT_ONCE}
            for count, seconds in added.items():
                cases |= added_cases(f"staff socket, {count} at once, added to the first token", seconds)
            cases |= visitor_cases(stack, supply, rounds)
        return cases | machine_cases(samples)


if __name__ == "__main__":
    print(table({"stream": run()}))
