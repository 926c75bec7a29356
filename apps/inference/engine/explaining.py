"""Which words made a classifier say what it says.

Method: Owen values over a balanced tree of the text's words, by SHAP's partition explainer: a word's weight is what it
        adds to the probability of the explained label, on average over the coalitions that the tree allows, when the
        words outside the coalition are left out. The weights add up to the difference between the text's probability
        and that of no words at all (completeness), within float32 rounding.
Source: Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions", NeurIPS 2017; Owen, "Values of Games
        with a Priori Unions", 1977.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from apps.inference.engine.types import FloatArray

# Of a longer text the rest keeps its words in every coalition.
MAX_WORDS = 160
_BATCH = 64
_WORD = re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]+", re.UNICODE)
Score = Callable[[list[str]], FloatArray]


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


def attribution_of(score: Score, text: str, *, max_evaluations: int) -> Attribution:
    """Return the weight of each word; `score` gives the probability of the explained label for each text.

    Cost: at most about `max_evaluations` texts of up to the length of this one.
    """
    import numpy as np
    import shap

    spans = [match.span() for match in _WORD.finditer(text)][:MAX_WORDS]
    if not spans:
        value = float(score([text])[0])
        return Attribution((), value, value)

    # To the explainer a text is a row of ones, and leaving a word out makes its one a zero.
    def masked(mask: Any, row: Any) -> Any:
        return (row * mask).reshape(1, -1)

    masked.shape = (1, len(spans))  # type: ignore[attr-defined]
    masked.clustering = _tree(len(spans))  # type: ignore[attr-defined]
    explainer = shap.explainers.Partition(
        lambda rows: np.asarray(score([_without(text, spans, row > 0) for row in rows]), dtype=float), masked
    )
    found = explainer(np.ones((1, len(spans))), max_evals=max_evaluations, batch_size=_BATCH, silent=True)
    weights = found.values[0]
    base = float(np.ravel(found.base_values)[0])
    words = tuple(WordWeight(start, end, float(weight)) for (start, end), weight in zip(spans, weights, strict=True))
    return Attribution(words, base, base + float(np.sum(weights)))


def _without(text: str, spans: Sequence[tuple[int, int]], mask: Sequence[bool]) -> str:
    """Return the text without the words whose mask is false."""
    kept, begin = [], 0
    for (start, end), keep in zip(spans, mask, strict=True):
        kept.append(text[begin : end if keep else start])
        begin = end
    kept.append(text[begin:])
    return re.sub(r"\s+", " ", "".join(kept)).strip()


def _tree(count: int) -> Any:
    """Return a balanced binary tree over neighbours, as scipy's linkage matrix: neighbours belong together."""
    import numpy as np

    rows: list[list[float]] = []
    level = [(index, 1) for index in range(count)]
    height = 1.0
    while len(level) > 1:
        following = []
        for index in range(0, len(level) - 1, 2):
            (left, some), (right, others) = level[index], level[index + 1]
            rows.append([left, right, height, some + others])
            following.append((count + len(rows) - 1, some + others))
        if len(level) % 2:
            following.append(level[-1])
        level, height = following, height + 1
    return np.array(rows, dtype=float).reshape(-1, 4)
