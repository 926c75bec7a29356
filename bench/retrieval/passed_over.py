"""What the rules on versions, codes and numbers cost: questions with their right passages, and how many are passed over.

    python -m bench.retrieval.passed_over FILE.jsonl...

Each line of a file has a `question` and its passage as `context` or `text`, as XQuAD, CMRC 2018 and CLAPNQ have them after
their conversion; `answerable: false` and lines without a passage are left out. The guide's questions and those of Debian's
developers-reference, where it is installed, are counted too.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import bench.retrieval.ready  # noqa: F401  (before the product's modules)
from apps.nlp.services.grounding.exact import exact_terms, is_about_another
from bench.retrieval.corpus import DEVELOPERS_REFERENCE, CorpusPassage, developers_reference, guide
from bench.retrieval.evaluate import QUESTIONS, questions

ROOT = Path(__file__).resolve().parents[2]
Pair = tuple[str, str]


def of_file(path: Path) -> Iterator[Pair]:
    """Yield question and passage of each line."""
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        passage = row.get("context") or row.get("text")
        if passage and row.get("answerable", True):
            yield row["question"], f"{row.get('title', '')}\n{passage}"


def of_collection(passages: Iterable[CorpusPassage], path: Path) -> Iterator[Pair]:
    """Yield question and each passage of the sections that answer it."""
    found = list(passages)
    for question in questions("all", path):
        for passage in found:
            if (passage.source, passage.anchor) in question.places:
                yield question.text, f"{passage.title}\n{passage.heading}\n{passage.text}"


def count(name: str, pairs: Iterable[Pair]) -> None:
    """Print a row, and the questions whose passage is passed over."""
    asked = naming = 0
    lost: list[str] = []
    for question, passage in pairs:
        named = [one for one in exact_terms(question) if one.strict]
        asked, naming = asked + 1, naming + bool(named)
        if is_about_another(passage, named):
            lost.append(f"    {question}  {[one.raw for one in named]}")
    print(f"{name:<24}{asked:>6} pairs{naming:>5} name something{len(lost):>4} passed over", *lost, sep="\n")


def main() -> None:
    """Print the rows of the files and of the two collections."""
    for path in map(Path, sys.argv[1:]):
        count(path.stem, of_file(path))
    count("guide", of_collection(guide(ROOT), QUESTIONS.with_name("questions_guide.jsonl")))
    if DEVELOPERS_REFERENCE.is_dir():
        count("developers-reference", of_collection(developers_reference(), QUESTIONS))


if __name__ == "__main__":
    main()
