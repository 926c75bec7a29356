"""The suites: each can be named, and asks every player the same."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

from bench.__main__ import SUITES
from bench.generate import KINDS, STREAMS, seeds
from bench.sentences import sentences
from bench.texts import PREFIXED, SHORT, prompt, questions, texts

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_takes_a_number_of_repetitions(name: str) -> None:
    parameters = inspect.signature(importlib.import_module(f"bench.{name}").run).parameters
    assert list(parameters) == ["rounds"]
    assert parameters["rounds"].default >= 5


def test_no_prompt_comes_twice() -> None:
    ranges = [seeds(kind, streams, number) for kind in KINDS for streams in STREAMS for number in range(5)]
    drawn = [seed for part in ranges for seed in part]
    assert len(drawn) == len(set(drawn)) == 2 * 5 * sum(STREAMS)


def test_short_prompts_share_no_beginning_and_prefixed_ones_share_theirs() -> None:
    short, prefixed = ([prompt(kind, seed) for seed in (1, 2)] for kind in (SHORT, PREFIXED))
    assert short[0][1]["content"][:8] != short[1][1]["content"][:8]
    assert prefixed[0][0] == prefixed[1][0]
    assert prefixed[0][1] != prefixed[1][1]


def test_texts_are_of_5_to_120_words_and_the_same_every_time() -> None:
    counts = [len(text.split()) for text in texts(600)]
    assert (len(counts), min(counts) >= 5, max(counts) <= 120) == (600, True, True)
    assert texts(600) == texts(600)


def test_there_are_20_questions() -> None:
    assert len({str(turns) for turns in questions()}) == 20


@pytest.mark.parametrize("language", ["en", "pt"])
def test_no_sentence_comes_twice(language: str) -> None:
    assert len(set(sentences(language, 0, 10_000))) == 10_000


def test_the_peers_are_pinned_exactly() -> None:
    lines = (ROOT / "requirements-bench.txt").read_text().splitlines()
    assert [line for line in lines if line[:1] != "#" and not re.fullmatch(r"[\w-]+==[\d.]+", line)] == []
