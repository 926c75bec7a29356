"""Decoding controls on the default backend, with the real model."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from apps.inference.engine.errors import Unsupported
from apps.inference.engine.host import EngineHost
from apps.inference.engine.types import ChatMessage, GenerateRequest, GenerateStats, Piece

pytestmark = pytest.mark.models

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}


def ask(host: EngineHost, text: str = "Name a city and a number.", **options: Any) -> tuple[list[Piece], GenerateStats]:
    generation = host.generate(GenerateRequest((ChatMessage("user", text),), **options), deadline_s=60)
    pieces = list(generation)
    assert generation.stats is not None
    return pieces, generation.stats


def texts(pieces: list[Piece]) -> list[str]:
    joined: dict[int, str] = {}
    for piece in pieces:
        joined[piece.index] = joined.get(piece.index, "") + piece.text
    return [joined[index] for index in sorted(joined)]


def test_n_gives_choices_of_their_own(host: EngineHost) -> None:
    pieces, stats = ask(host, "Tell me a story.", n=3, temperature=1.2, max_tokens=24)
    assert len(set(texts(pieces))) == 3
    assert stats.finish_reasons == ("length",) * 3
    assert stats.completion_tokens == 72


def story(host: EngineHost, seed: int | None) -> str:
    return texts(ask(host, "Tell me a story.", seed=seed, temperature=1.0, max_tokens=24)[0])[0]


def test_a_seed_repeats_its_text(host: EngineHost) -> None:
    story(host, 7)  # computes the prompt; from here on it is in the cache
    first, second = story(host, 7), story(host, 7)
    assert first == second
    assert story(host, 8) != first


def test_a_seed_repeats_nearly_all_of_its_text_beside_others(host: EngineHost) -> None:
    """Sums come in another order in a larger batch, so that a draw at the very edge may fall to the other side."""
    alone = story(host, 7)
    others = [
        host.generate(
            GenerateRequest((ChatMessage("user", f"Story {number}"),), temperature=1.0, max_tokens=200), deadline_s=60
        )
        for number in range(3)
    ]
    beside = story(host, 7)
    for generation in others:
        generation.close()
    assert beside.startswith(alone[:30])


def test_without_a_seed_texts_differ(host: EngineHost) -> None:
    assert len({story(host, None) for _ in range(3)}) == 3


def test_greedy_choices_are_equal(host: EngineHost) -> None:
    pieces, _ = ask(host, n=2, max_tokens=12)
    first, second = texts(pieces)
    assert first == second != ""


def test_json_schema_holds(host: EngineHost) -> None:
    pieces, stats = ask(host, json_schema=SCHEMA, max_tokens=80)
    answer = json.loads(texts(pieces)[0])
    assert set(answer) == {"city", "days"}
    assert isinstance(answer["days"], int)
    assert stats.finish_reason == "stop"


def test_empty_schema_asks_for_any_object(host: EngineHost) -> None:
    pieces, _ = ask(host, "Answer in JSON: which city?", json_schema={}, max_tokens=40)
    assert texts(pieces)[0].lstrip().startswith("{")


def test_logprobs_belong_to_the_tokens(host: EngineHost) -> None:
    pieces, stats = ask(host, logprobs=0, max_tokens=10)
    values = [one for piece in pieces for one in piece.logprobs]
    assert len(values) == stats.completion_tokens
    assert "".join(one.text for one in values).strip() == texts(pieces)[0].strip()
    assert all(-20 < one.logprob <= 0 for one in values)
    assert math.exp(values[0].logprob) > 0.01


def test_beams_give_their_best_texts_first(host: EngineHost) -> None:
    pieces, stats = ask(host, beams=4, n=2, max_tokens=12)
    assert [piece.index for piece in pieces] == [0, 1]
    assert len(set(texts(pieces))) == 2
    assert len(stats.finish_reasons) == 2


@pytest.mark.parametrize(
    ("options", "parameter"),
    [({"logprobs": 5}, "top_logprobs"), ({"adapter": "x"}, "adapters"), ({"beams": 2, "n": 3}, "n")],
)
def test_what_it_cannot_do_is_refused_by_name(host: EngineHost, options: dict[str, Any], parameter: str) -> None:
    with pytest.raises(Unsupported) as caught:
        ask(host, max_tokens=5, **options)
    assert caught.value.parameter == parameter


def test_narrow_sampling_is_nearly_greedy(host: EngineHost) -> None:
    greedy, _ = ask(host, max_tokens=12)
    by_k, _ = ask(host, max_tokens=12, temperature=1.0, top_k=1)
    by_min_p, _ = ask(host, max_tokens=12, temperature=0.3, min_p=0.99)
    assert texts(greedy) == texts(by_k) == texts(by_min_p)


def test_penalties_stop_repetition(host: EngineHost) -> None:
    prompt = "Write: apple, apple, apple, apple, and go on like that."
    plain, _ = ask(host, prompt, max_tokens=60)
    penalised, _ = ask(host, prompt, max_tokens=60, repetition_penalty=1.5, frequency_penalty=1.0, presence_penalty=1.0)
    assert _most(texts(penalised)[0]) < _most(texts(plain)[0])


def _most(text: str) -> int:
    words = text.lower().replace(",", " ").split()
    return max(words.count(word) for word in words)


def test_raw_prompt_is_continued_without_the_chat_template(host: EngineHost) -> None:
    generation = host.generate(GenerateRequest(prompt="The capital of France is", max_tokens=4), deadline_s=30)
    text = "".join(piece.text for piece in generation)
    assert "Paris" in text
    assert generation.stats is not None
    assert generation.stats.prompt_tokens <= 6


def test_stop_strings_end_each_choice(host: EngineHost) -> None:
    pieces, stats = ask(host, "Count from one to nine in digits: 1, 2, 3,", n=2, stop=("7",), max_tokens=80)
    assert all("7" not in text for text in texts(pieces))
    assert len(stats.finish_reasons) == 2
