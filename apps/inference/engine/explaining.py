"""Which words made a classifier say what it says.

Method: Owen values over a balanced tree of the text's words: a word's weight is what it adds to the probability of the
        explained label, on average over the coalitions that the tree allows, when the words outside the coalition are
        left out. The weights add up to the difference between the text's probability and that of no words at all
        (completeness), within float32 rounding.
Source: Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions", NeurIPS 2017; Owen, "Values of Games
        with a Priori Unions", 1977. The values are those of SHAP's partition explainer, which the tests run beside this
        one. That package compiles itself at its first use, for 6 to 20 s, and a worker's other requests feel it.
"""

from __future__ import annotations

import heapq
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.inference.engine.types import FloatArray

# Of a longer text the rest keeps its words in every coalition.
MAX_WORDS = 160
_BATCH = 64
_WORD = re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]+", re.UNICODE)
_BLANK = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n[ \n]*")
# For each text the probability of the explained label.
Score = Callable[[list[str]], FloatArray]
# For each coalition (booleans, one per word) what it is worth.
_Worth = Callable[[list[Any]], Any]


@dataclass(frozen=True, slots=True)
class WordWeight:
    """What the word text[start:end] adds to the probability."""

    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class Attribution:
    """`base` is the probability without any word, `value` that of the text; weights sum to their difference."""

    words: tuple[WordWeight, ...]
    base: float
    value: float


@dataclass(frozen=True, slots=True)
class _Branch:
    """Words begin to end joining those of `others`: what that is worth, before and after, and how much it counts."""

    begin: int
    end: int
    others: Any
    before: float
    after: float
    share: float

    @property
    def size(self) -> int:
        return self.end - self.begin

    @property
    def middle(self) -> int:
        return self.begin + self.size // 2

    @property
    def stake(self) -> float:
        """Return how much of the weights is undecided below this branch."""
        return abs(self.after - self.before) * self.share

    def halves(self) -> list[Any]:
        """Return the coalitions of each half with the others."""
        left, right = self.others.copy(), self.others.copy()
        left[self.begin : self.middle] = True
        right[self.middle : self.end] = True
        return [left, right]

    def parted(self, left: float, right: float) -> list[_Branch]:
        """Return each half joining first and joining second, given what each is worth with the others."""
        with_left, with_right = self.halves()
        share = self.share / 2
        return [
            _Branch(self.begin, self.middle, self.others, self.before, left, share),
            _Branch(self.begin, self.middle, with_right, right, self.after, share),
            _Branch(self.middle, self.end, self.others, self.before, right, share),
            _Branch(self.middle, self.end, with_left, left, self.after, share),
        ]


def attribution_of(score: Score, text: str, *, max_evaluations: int) -> Attribution:
    """Return the weight of each word.

    Cost: at most `max_evaluations` (and two at least) texts of up to the length of this one, 64 at once.
    """
    spans = [match.span() for match in _WORD.finditer(text)][:MAX_WORDS]
    if not spans:
        value = float(score([text])[0])
        return Attribution((), value, value)

    def worth(coalitions: list[Any]) -> Any:
        return np.asarray(score([_without(text, spans, one) for one in coalitions]), dtype=float)

    weights, base, value = owen_values(worth, len(spans), max_evaluations=max_evaluations)
    words = tuple(WordWeight(start, end, float(weight)) for (start, end), weight in zip(spans, weights, strict=True))
    return Attribution(words, base, value)


def owen_values(worth: _Worth, count: int, *, max_evaluations: int) -> tuple[Any, float, float]:
    """Return float64 (count,) values of players in a row, and what none and all of them are worth.

    Players are halved, and the halves again. Branches with the most at stake are followed first; what is undecided when
    the evaluations are used up is shared evenly among a branch's players. Exact from count^2 evaluations on.
    """
    nobody = np.zeros(count, dtype=bool)
    base, value = (float(one) for one in worth([nobody, ~nobody]))
    weights = np.zeros(count)
    ties = itertools.count()
    left = max_evaluations - 2
    waiting = [(0.0, next(ties), _Branch(0, count, nobody, base, value, 1.0))]
    while waiting:
        asked: list[_Branch] = []
        while waiting and 2 * len(asked) < _BATCH:
            branch = heapq.heappop(waiting)[-1]
            if branch.size == 1 or left < 2:
                weights[branch.begin : branch.end] += (branch.after - branch.before) * branch.share / branch.size
            else:
                left -= 2
                asked.append(branch)
        if not asked:
            continue
        found = iter(worth([half for branch in asked for half in branch.halves()]))
        for branch in asked:
            for part in branch.parted(float(next(found)), float(next(found))):
                heapq.heappush(waiting, (-part.stake, next(ties), part))
    return weights, base, value


def _without(text: str, spans: Sequence[tuple[int, int]], mask: Sequence[bool]) -> str:
    """Return the text without the words whose mask is false; its lines stay lines."""
    kept, begin = [], 0
    for (start, end), keep in zip(spans, mask, strict=True):
        kept.append(text[begin : end if keep else start])
        begin = end
    kept.append(text[begin:])
    return _LINES.sub("\n", _BLANK.sub(" ", "".join(kept))).strip()
