"""The weights of words are Owen values: of games with known values, and beside SHAP's partition explainer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest

from apps.inference.engine.explaining import MAX_WORDS, attribution_of, owen_values

MANY = 10_000


class Game:
    """A game by a function of one coalition; keeps the sizes of the lists it was asked."""

    def __init__(self, worth: Callable[[Any], float]) -> None:
        self._worth = worth
        self.asked: list[int] = []

    def __call__(self, coalitions: list[Any]) -> Any:
        self.asked.append(len(coalitions))
        return np.array([self._worth(one) for one in coalitions])


def of_table(count: int) -> Game:
    """A game without any structure: what a coalition is worth says nothing of another one."""
    table = np.random.default_rng(count).normal(size=2**count)
    return Game(lambda one: float(table[int(one @ (1 << np.arange(count)))]))


# -- games with known values -----------------------------------------------------------------------------------------
def test_a_player_whose_worth_depends_on_nobody_gets_it() -> None:
    alone = np.array([0.5, -1.0, 0.0, 2.0, 0.25])
    weights, base, value = owen_values(Game(lambda one: 3.0 + float(one @ alone)), 5, max_evaluations=MANY)
    assert weights == pytest.approx(alone)
    assert (base, value) == (3.0, pytest.approx(3.0 + alone.sum()))


def test_what_two_players_make_together_is_halved() -> None:
    weights, _, _ = owen_values(Game(lambda one: float(one[1] and one[6])), 8, max_evaluations=MANY)
    assert weights == pytest.approx([0, 0.5, 0, 0, 0, 0, 0.5, 0])


def test_one_player_gets_everything() -> None:
    assert owen_values(Game(lambda one: float(one[0])), 1, max_evaluations=MANY) == (pytest.approx([1.0]), 0.0, 1.0)


@pytest.mark.parametrize("count", [1, 2, 9, 40])
@pytest.mark.parametrize("budget", [2, 17, 256])
def test_weights_add_up_and_evaluations_stay_within_the_budget(count: int, budget: int) -> None:
    noise = np.random.default_rng(count).normal(size=(count, count))
    game = Game(lambda one: float(one @ noise @ one))
    weights, base, value = owen_values(game, count, max_evaluations=budget)
    assert weights.sum() == pytest.approx(value - base)
    assert sum(game.asked) <= budget
    assert max(game.asked) <= 64


def test_a_small_budget_goes_to_the_part_that_matters() -> None:
    weights, _, _ = owen_values(Game(lambda one: float(one[37])), 40, max_evaluations=128)
    assert weights.argmax() == 37
    assert weights[:20] == pytest.approx(np.zeros(20))


# -- beside SHAP -------------------------------------------------------------------------------------------------------
def linkage(count: int) -> Any:
    """The tree that halves players and their halves, as scipy writes it."""
    rows: list[list[float]] = []

    def join(begin: int, end: int) -> int:
        if end - begin == 1:
            return begin
        middle = begin + (end - begin) // 2
        rows.append([join(begin, middle), join(middle, end), float(end - begin), end - begin])
        return count + len(rows) - 1

    join(0, count)
    return np.array(rows)


def values_by_shap(game: Game, count: int) -> Any:
    # As plain Python: compiling takes longer than running it.
    numba.config.DISABLE_JIT = True
    import shap

    def masked(mask: Any, row: Any) -> Any:
        return (row * mask).reshape(1, -1)

    masked.shape = (1, count)  # type: ignore[attr-defined]
    masked.clustering = linkage(count)  # type: ignore[attr-defined]
    explainer = shap.explainers.Partition(lambda rows: game(list(rows > 0)), masked)
    return explainer(np.ones((1, count)), max_evals=MANY, batch_size=64, silent=True).values[0]


@pytest.mark.parametrize("count", [2, 3, 7, 10])
def test_the_values_are_those_of_shaps_partition_explainer(count: int) -> None:
    ours, _, _ = owen_values(of_table(count), count, max_evaluations=MANY)
    assert ours == pytest.approx(values_by_shap(of_table(count), count), abs=1e-9)


def test_an_explanation_waits_for_no_compiler() -> None:
    """The package that compiles at its first use stays out of the worker."""
    code = (
        "import sys, numpy;"
        "from apps.inference.engine.explaining import attribution_of;"
        "attribution_of(lambda texts: numpy.ones(len(texts)), 'some words', max_evaluations=8);"
        "print(sorted({'numba', 'shap'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


# -- texts -------------------------------------------------------------------------------------------------------------
def told(text: str, score: Callable[[str], float]) -> tuple[Any, list[str]]:
    seen: list[str] = []

    def scores(texts: list[str]) -> Any:
        seen.extend(texts)
        return np.array([score(one) for one in texts], dtype=np.float32)

    return attribution_of(scores, text, max_evaluations=256), seen


def test_words_have_their_places_and_what_is_left_out_leaves_no_gap() -> None:
    text = "a  dog's\tlife, good"
    found, seen = told(text, lambda one: float("dog" in one))
    assert [text[word.start : word.end] for word in found.words] == ["a", "dog's", "life", ",", "good"]
    assert [word.weight for word in found.words] == pytest.approx([0, 1, 0, 0, 0])
    assert {"", "a dog's life, good", "a dog's", "life, good"} <= set(seen)


def test_lines_stay_lines() -> None:
    _, seen = told("one two\n\nthree", lambda one: 0.0)
    assert {"one two\nthree", "one two", "three"} <= set(seen)


def test_a_text_without_words_has_no_weights() -> None:
    found, _ = told("  \n", lambda one: 0.25)
    assert (found.words, found.base, found.value) == ((), 0.25, 0.25)


def test_of_a_long_text_the_rest_is_always_there() -> None:
    text = " ".join(f"w{number}" for number in range(MAX_WORDS + 2))
    found, seen = told(text, len)
    assert len(found.words) == MAX_WORDS
    assert [one for one in seen if f"w{MAX_WORDS} w{MAX_WORDS + 1}" not in one] == []
