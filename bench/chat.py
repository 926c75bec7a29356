"""The players that generate text, and one way to ask them."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.inference.catalogue import catalogue_load
from bench import materials
from bench.load import ServerError, complete_all
from bench.machine import MACHINE
from bench.players import Absent, Lineup, Player
from bench.progress import say
from bench.results import OURS, VARIANT
from bench.texts import Messages

MAX_STREAMS = 32
REFERENCE = "transformers float32"
# They answer one request at a time, so that their rate does not depend on how many wait: a few show it.
SERIAL = (REFERENCE, "transformers bfloat16")
SERIAL_PROMPTS = 4
XLLAMACPP, XLLAMACPP_Q8, SERVE = "xllamacpp server Q4_1", "xllamacpp server Q8_0", "transformers serve"


@dataclass(frozen=True)
class Field:
    """Players to start, and why others are not among them."""

    players: list[Player]
    missing: dict[str, str]

    def add(self, name: str, module: str, material: Any, **options: Any) -> None:
        """Add a peer whose `model` option is what `material()` returns; without it the peer is missing."""
        try:
            self.players.append(Player(name, module, {"model": str(material()), **options}))
        except Absent as error:
            self.missing[name] = str(error)


def own_engines() -> list[Player]:
    """Return our engine with its default chat model, and with each other packaged chat model."""
    known = catalogue_load()
    default = known.default("chat")
    others = [
        spec.name
        for spec in known.models.values()
        if spec.role == "chat" and spec.source.startswith("package:") and spec.name != default.name
    ]
    return [
        Player(OURS, "ours", {"roles": ["chat"]}, needs_mb=2000),
        *(Player(f"{VARIANT}{name}", "ours", {"roles": ["chat"], "chat": name}, needs_mb=2000) for name in others),
    ]


def add_servers(field: Field) -> None:
    """Add the peers that are reached over HTTP."""
    field.add(XLLAMACPP, "llama_server", materials.chat_gguf, slots=MAX_STREAMS, port=free_port())
    field.add(SERVE, "transformers_serve", materials.reference, dtype="bfloat16", streams=MAX_STREAMS, port=free_port())


def generate_field() -> Field:
    """Return everyone."""
    field = Field([MACHINE, *own_engines()], {})
    field.add(REFERENCE, "transformers_generate", materials.reference, dtype="float32")
    field.add("transformers bfloat16", "transformers_generate", materials.reference, dtype="bfloat16")
    field.add("CTranslate2 int8", "ctranslate2_generate", materials.ctranslate2_generator, compute_type="int8")
    field.add("CTranslate2 float32", "ctranslate2_generate", materials.ctranslate2_generator, compute_type="float32")
    add_servers(field)
    field.add(XLLAMACPP_Q8, "llama_server", materials.chat_q8, slots=MAX_STREAMS, port=free_port())
    return field


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ask(lineup: Lineup, name: str, prompts: Sequence[Messages], *, max_tokens: int, shared: int = 0) -> dict[str, Any]:
    """Have one player answer all prompts at once, greedily; return what `peers.chat.Answers` does.

    `shared` tokens at the beginning are the same in all prompts, for engines that must be told. Raises Absent.
    """
    told = lineup.told(name)
    if "base_url" in told:
        return ask_server(lineup, name, told, prompts, max_tokens=max_tokens)
    hint = {"shared": shared} if name.startswith("CTranslate2") else {}
    answer: dict[str, Any] = lineup.call(name, "generate", prompts=list(prompts), max_tokens=max_tokens, **hint)
    return answer


def ask_server(
    lineup: Lineup, name: str, told: Mapping[str, Any], prompts: Sequence[Messages], *, max_tokens: int
) -> dict[str, Any]:
    """Do the same over HTTP. A server that breaks a stream off is asked once more. Raises Absent."""
    tries = 2
    while True:
        tries -= 1
        try:
            return complete_all(told["base_url"], told["model"], prompts, max_tokens=max_tokens)
        except (OSError, EOFError, ServerError, RuntimeError) as error:
            why = f"{type(error).__name__}: {error}"
            if tries and isinstance(error, EOFError):
                say(f"{name} broke a stream off; once more")
                continue
            lineup.lose(name, why)
            raise Absent(why) from error


def weight_bytes(lineup: Lineup) -> float:
    """Return the size of the weights that our engine reads for each token."""
    return float(lineup.told(OURS)["weight_bytes"])


def reference_folder() -> Path | None:
    """Return the float32 folder, or None where it cannot be made."""
    try:
        return materials.reference()
    except Absent:
        return None
