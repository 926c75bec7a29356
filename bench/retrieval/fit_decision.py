"""Fit the confidence of apps/assistant/decision.py and print its constants and their error on held-out questions.

    python -m bench.retrieval.fit_decision

Fitted on the tune split of questions.jsonl (Debian's developers-reference) and questions_guide.jsonl (the project's
user guide), each also asked of the other collection, where it has no answer. Reported on the test splits, which take
no part in the fit or in the choice of the threshold. An answerable question whose section is not among the first five
passages is left out of the fit: what was found for it is neither right nor all wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

import bench.retrieval.ready  # noqa: F401  isort: skip  (before anything of Django)
from apps.assistant.decision import FEATURES, Thresholds, decide, features
from bench.retrieval.corpus import developers_reference, guide
from bench.retrieval.evaluate import QUESTIONS, Hit, Index, Question, questions

ROOT = Path(__file__).resolve().parents[2]
GUIDE_QUESTIONS = QUESTIONS.with_name("questions_guide.jsonl")
# Questions of one collection that the other one happens to answer, or nearly so.
NOT_CROSSED = frozenset({"ga08", "ga09", "ga16"})


@dataclass(frozen=True)
class Example:
    """A question asked of a collection: what was found, whether an answer is there, whether it was found."""

    collection: str
    question: Question
    found: list[Hit]
    answerable: bool
    hit: bool
    crossed: bool


def examples() -> Iterator[Example]:
    """Yield every question on both collections."""
    indexes = {"reference": Index(developers_reference()), "guide": Index(guide(ROOT))}
    asked = {"reference": questions("all"), "guide": questions("all", GUIDE_QUESTIONS)}
    for name, index in indexes.items():
        for origin, those in asked.items():
            for question in those:
                crossed = origin != name
                if crossed and (not question.places or question.id in NOT_CROSSED):
                    continue
                found = index.search(question.text)
                hit = bool(question.places & {(h.source, h.anchor) for h in found[:5]})
                yield Example(name, question, found, bool(question.places) and not crossed, hit, crossed)


def main() -> None:
    """Fit, print the constants, report the decisions with the constants as committed."""
    every = list(examples())
    rows = np.array([[features(e.question.text, e.found)[name] for name in FEATURES] for e in every])
    labels = np.array([e.answerable for e in every])
    tune = np.array([e.question.split == "tune" for e in every])
    fit = tune & np.array([e.hit or not e.answerable for e in every])
    model = LogisticRegression(C=10.0, class_weight="balanced", max_iter=5000).fit(rows[fit], labels[fit])
    fresh = model.predict_proba(rows)[:, 1]
    threshold = _threshold(fresh[tune & ~labels], np.array([e.crossed for e in every])[tune & ~labels])
    shift = math.log(threshold / (1 - threshold))
    print(f"BIAS = {model.intercept_[0] - shift:.2f}  # so that 0.5 stands for the chosen {threshold:.2f}")
    print("WEIGHTS = {" + ", ".join(f'"{n}": {w:.2f}' for n, w in zip(FEATURES, model.coef_[0], strict=True)) + "}")
    for value in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
        told = [f"{name} {_share(fresh, mask, value)}" for name, mask in _groups(every, labels, tune)]
        print(f"unshifted threshold {value}: " + "; ".join(told))
    committed = [decide(e.question.text, e.found, Thresholds.default()) for e in every]
    confident = np.array([d.confidence if d and d.kind == "answer" else 0.0 for d in committed])
    told = [f"{name} {_share(confident, mask, 0.001)}" for name, mask in _groups(every, labels, tune)]
    print("as committed: " + "; ".join(told))
    for e, d in zip(every, committed, strict=True):
        if d and (d.kind == "answer") != e.answerable:
            where = "crossed " if e.crossed else ""
            print(
                f"  {e.question.split} {where}{e.collection} {d.kind} {d.confidence:.2f} {d.reason}: {e.question.text}"
            )


def _threshold(confidence: np.ndarray, crossed: np.ndarray) -> float:
    """Return the least threshold (in steps of 0.05) at which 90 % of either kind without an answer is abstained."""
    for step in range(6, 19):
        value = step / 20
        if all((confidence[mask] < value).mean() >= 0.9 for mask in (crossed, ~crossed)):
            return value
    return 0.95


def _groups(every: list[Example], labels: np.ndarray, tune: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    crossed = np.array([e.crossed for e in every])
    reference = np.array([e.collection == "reference" for e in every])
    for name, split in (("tune", tune), ("test", ~tune)):
        for collection, own in (("reference", reference), ("guide", ~reference)):
            yield f"{name} {collection} answered", split & own & labels
            yield f"{name} {collection} wrongly answered", split & own & ~labels & ~crossed
        yield f"{name} crossed answered", split & crossed


def _share(confidence: np.ndarray, mask: np.ndarray, threshold: float) -> str:
    return f"{int((confidence[mask] >= threshold).sum())}/{int(mask.sum())}"


if __name__ == "__main__":
    main()
