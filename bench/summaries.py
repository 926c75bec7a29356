"""How the weights of extractive summaries were chosen: `python -m bench.summaries` tries them on package descriptions.

The development part alone, which is every description that `manage.py evaluate` does not report on. For one sentence: the
mean ROUGE-L against the synopsis, and how many words the sentences have. For three: the share of the synopsis' words that
they have, beside the first three. A weight that wins by longer or shorter sentences is not taken.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench.paths import ROOT
from bench.progress import say

LEADS = (0.0, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 1.0)
LEANINGS = (0.5, 0.7, 0.85, 1.0)
SAME = (0.7, 0.8, 0.9)
SHOWN = 12
_DEADLINE_S = 600.0


def main() -> int:
    """Print the best weights for one sentence and for three."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nlpsuite.settings.base")
    import django

    django.setup()
    from apps.inference.catalogue import catalogue_load
    from apps.inference.engine.host import EngineHost
    from apps.inference.engine.types import EngineConfig
    from apps.inference.services import local
    from apps.nlp.evaluation.summaries import descriptions_read, development_part
    from apps.nlp.services.choosing import Weights, sentences_choose
    from apps.nlp.services.heads import vectors_of
    from apps.nlp.services.segments import sentences_of
    from apps.translation.types import Call

    known = catalogue_load()
    host = EngineHost(known.models, known.defaults, EngineConfig(ROOT / ".data" / "bench"))
    local._State.host = host
    rows = development_part(descriptions_read())
    texts = [[" ".join(text[a:b].split()) for a, b in sentences_of(text)] for _, text in rows]
    say(f"{len(rows)} descriptions, {sum(map(len, texts))} sentences")
    call = Call(uuid.uuid4(), "batch", time.monotonic() + _DEADLINE_S)
    together = vectors_of(call, [sentence for row in texts for sentence in row])
    vectors = np.split(together, np.cumsum([len(row) for row in texts])[:-1])
    host.stop()
    wanted = [synopsis for synopsis, _ in rows]

    def chosen(weights: Weights, count: int) -> list[str]:
        return [
            " ".join(row[i] for i in sentences_choose(row, some, count, weights=weights))
            for row, some in zip(texts, vectors, strict=True)
        ]

    for count, score in ((1, _rouge()), (3, _recall())):
        lead = [" ".join(row[:count]) for row in texts]
        _show(f"first {count}", score(wanted, lead), lead)
        found = []
        for values in itertools.product(LEADS, LEANINGS, SAME if count > 1 else SAME[1:2]):
            made = chosen(Weights(*values), count)
            found.append((score(wanted, made), values, made))
        for value, values, made in sorted(found, key=lambda one: -one[0])[:SHOWN]:
            _show(f"{count}: lead {values[0]}, leaning {values[1]}, same {values[2]}", value, made)
    return 0


def _show(name: str, value: float, made: Sequence[str]) -> None:
    print(f"{name:<44} {value:.4f}  {statistics.mean(len(one.split()) for one in made):.1f} words")


def _rouge() -> Callable[[Sequence[str], Sequence[str]], float]:
    from rouge_score.rouge_scorer import RougeScorer

    scorer: Any = RougeScorer(["rougeL"], use_stemmer=True)

    def score(wanted: Sequence[str], made: Sequence[str]) -> float:
        pairs = zip(wanted, made, strict=True)
        return statistics.mean(scorer.score(synopsis, text)["rougeL"].fmeasure for synopsis, text in pairs)

    return score


def _recall() -> Callable[[Sequence[str], Sequence[str]], float]:
    from apps.nlp.evaluation.summaries import words_kept

    return lambda wanted, made: statistics.mean(map(words_kept, wanted, made))


if __name__ == "__main__":
    sys.exit(main())
