"""What the machine could do at best, from what it moves and computes in the same run.

Bandwidth: the better of reading 1 GB and copying it. Arithmetic: the fastest of float32, bfloat16 and 8-bit integer matrix
products. A limit assumes that nothing else costs anything and that both are never in each other's way: nobody reaches it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Measure
from bench.players import Lineup, Player
from bench.results import Case, Samples, case

MACHINE = Player("machine", "machine", needs_mb=2500)
BANDWIDTH = "machine: memory"
ARITHMETIC = {kind: f"machine: {kind} matrix product" for kind in ("float32", "bfloat16", "int8")}


@dataclass(frozen=True)
class Limits:
    """Bytes and operations (a multiplication and an addition are two) a second."""

    bytes_s: float
    ops_s: float


def machine_measure(lineup: Lineup) -> Measure:
    """Return the measure that every suite takes once a repetition, before its own."""

    def run(player: str, _round: int) -> dict[str, float]:
        found = lineup.call(player, "measure")
        values = {name: found["gops"][kind] for kind, name in ARITHMETIC.items()}
        return values | {BANDWIDTH: max(found["read_gb_s"], found["copy_gb_s"])}

    return Measure("the machine", (MACHINE.name,), run)


def limits(samples: Samples) -> Limits:
    """Return the medians of what `machine_measure` found."""
    fastest = max(samples.median(name, MACHINE.name) for name in ARITHMETIC.values())
    return Limits(samples.median(BANDWIDTH, MACHINE.name) * 1e9, fastest * 1e9)


def machine_cases(samples: Samples) -> dict[str, Case]:
    """Return the machine's own figures as cases without peers."""
    units = {BANDWIDTH: "GB/s"} | dict.fromkeys(ARITHMETIC.values(), "Gop/s")
    return {name: case(samples.median(name, MACHINE.name), {}, unit, higher=True) for name, unit in units.items()}


@dataclass(frozen=True)
class DecoderCost:
    """A decoder-only model: operations and weights a token, bytes of cache a token of context."""

    parameters: float
    weight_bytes: float
    kv_token_bytes: float

    @classmethod
    def of(cls, reference: Path, weight_bytes: float) -> DecoderCost:
        """Read the shape from a float32 folder with tied embeddings. The cache is counted with 8 bits a number."""
        shape = json.loads((reference / "config.json").read_text())
        head = shape.get("head_dim") or shape["hidden_size"] // shape["num_attention_heads"]
        kv = 2 * shape["num_hidden_layers"] * shape["num_key_value_heads"] * head
        return cls((reference / "model.safetensors").stat().st_size / 4, weight_bytes, kv)

    def tokens_per_s(self, limit: Limits, *, streams: int, own: float, shared: float, answer: float) -> float:
        """Return the most tokens a second: prompts of `own` tokens are computed, `shared` ones are cached already."""
        prefill_s = 2 * self.parameters * own * streams / limit.ops_s
        context = shared + streams * (own + answer / 2)
        moved_s = (self.weight_bytes + context * self.kv_token_bytes) / limit.bytes_s
        step_s = max(moved_s, 2 * self.parameters * streams / limit.ops_s)
        return streams * answer / (prefill_s + answer * step_s)

    def first_token_s(self, limit: Limits, *, prompts: float, own: float) -> float:
        """Return the least time until `prompts` prompts of `own` tokens are computed."""
        return max(self.weight_bytes / limit.bytes_s, 2 * self.parameters * own * prompts / limit.ops_s)


def encoder_rate(folder: Path, tokens: Sequence[int], limit: Limits) -> float:
    """Return the most texts a second through a BERT-like encoder, with no padding, for texts of these lengths."""
    shape = json.loads((folder / "config.json").read_text())
    hidden, inner, layers = shape["hidden_size"], shape["intermediate_size"], shape["num_hidden_layers"]
    linear = 2 * (4 * hidden * hidden + 2 * hidden * inner)
    operations = sum(layers * (count * linear + 4 * count * count * hidden) for count in tokens)
    return limit.ops_s / (operations / len(tokens))
