"""Whether an earlier question outvotes a new one: `python -m bench.retrieval.follow_ups`.

Each answerable question of a collection is asked after another one of it, as it is and as if it went on ("and ..."). It
prints how many are answered, how many from their own section, and how many from the section of the question before.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import bench.retrieval.ready  # noqa: F401  (before the product's modules)
from apps.assistant.condense import condense_query
from apps.assistant.decision import evidence
from apps.assistant.finding import find
from bench.retrieval.corpus import CorpusPassage, developers_reference, guide
from bench.retrieval.evaluate import QUESTIONS, Index, Question, questions

ROOT = Path(__file__).resolve().parents[2]
OPENINGS = ("", "and ", "ok, ", "so ")
SEED = 3


def compare(name: str, passages: Sequence[CorpusPassage], asked: list[Question]) -> None:
    """Print a row for each opening."""
    index, pick = Index(passages), random.Random(SEED)
    pairs = [(before, after) for after in asked if not (before := pick.choice(asked)).places & after.places]
    for opening in OPENINGS:
        answered = own = earlier = 0
        for before, after in pairs:
            text = opening + after.text[0].lower() + after.text[1:] if opening else after.text
            found = find(condense_query([before.text], text).queries, index.search_by, evidence)
            if found.decision.kind != "answer":
                continue
            place = {(found.passages[0].source, found.passages[0].anchor)}
            answered, own, earlier = (
                answered + 1,
                own + bool(place & after.places),
                earlier + bool(place & before.places),
            )
        print(f"{name:<22}{opening!r:<8}{len(pairs):>5} asked{answered:>5} answered{own:>5} own{earlier:>5} of before")


def main() -> None:
    """Print the rows of both collections."""
    for name, passages, path in (
        ("guide", guide(ROOT), QUESTIONS.with_name("questions_guide.jsonl")),
        ("developers-reference", developers_reference(), QUESTIONS),
    ):
        compare(name, passages, [question for question in questions("all", path) if question.places])


if __name__ == "__main__":
    main()
