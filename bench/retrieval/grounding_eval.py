"""Error rates of the groundedness check.

    python -m bench.retrieval.grounding_eval [--failures]

Cases: grounding_cases.tsv (written by hand about Debian's developers-reference: true and false sentences with the
section they are about), plus sentences taken from that document at run time: as they stand (true), mutated by rule
(false) and set before passages of other sections (false). Each is checked against its section's passages and the
four passages nearest to the sentence, as after a retrieval. A sentence without a verdict counts as rejected.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import bench.retrieval.ready  # noqa: F401  isort: skip  (before anything of Django)
from apps.nlp.services.grounding.check import GroundingContext, PassageText, leans_back
from apps.nlp.services.grounding.text import passage_sentences
from bench.retrieval.corpus import CorpusPassage, developers_reference, embed

CASES = Path(__file__).with_name("grounding_cases.tsv")

SWAPS = (
    ("must", "may"), ("should", "may"), ("may", "must"), ("can", "must"), ("all", "some"), ("every", "some"),
    ("only", "also"), ("before", "after"), ("after", "before"), ("never", "always"), ("always", "never"),
    ("usually", "always"), ("most", "all"), ("more", "less"), ("without", "with"), ("unless", "if"),
    ("stable", "unstable"), ("unstable", "stable"), ("testing", "experimental"), ("source", "binary"),
    ("binary", "source"), ("maintainer", "submitter"), ("sponsor", "maintainer"), ("lintian", "piuparts"),
    ("new", "old"), ("older", "newer"), ("first", "last"), ("add", "remove"), ("remove", "add"), ("public", "private"),
    ("dpkg-buildpackage", "dpkg-source"), ("debian/control", "debian/rules"), ("debian/changelog", "debian/control"),
    ("developers", "users"), ("users", "developers"), ("accepted", "rejected"), ("open", "close"), ("higher", "lower"),
    ("or", "and"), ("install", "remove"), ("installed", "removed"), ("recommended", "required"), ("any", "no"),
    ("possible", "impossible"), ("available", "unavailable"), ("team", "maintainer"), ("upload", "removal"),
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A sentence, whether it is true of its section, and what kind of case it is."""

    sentence: str
    true: bool
    kind: str
    source: str
    anchor: str


def written() -> list[Case]:
    """Return the cases written by hand."""
    rows = (line.split("\t") for line in CASES.read_text(encoding="utf-8").splitlines() if line)
    return [Case(text, mark == "+", kind, f"{source}.html", anchor) for source, anchor, mark, kind, text in rows]


def taken(passages: list[CorpusPassage], rng: random.Random) -> Iterator[Case]:
    """Yield sentences of the document as they stand, and their mutations."""
    pool = [
        (p, s.text.removeprefix("- "))
        for p in passages
        for s in passage_sentences(p.text)
        if 6 <= len(s.text.split()) <= 40 and not leans_back(s.text) and s.text[-1] == "."
    ]
    rng.shuffle(pool)
    for passage, text in pool[:80]:
        yield Case(text, True, "verbatim", passage.source, passage.anchor)
    made: Counter[str] = Counter()
    for passage, text in pool[80:]:
        for kind, changed in mutations(text, rng):
            if made[kind] < 45:
                made[kind] += 1
                yield Case(changed, False, f"mutated {kind}", passage.source, passage.anchor)
                break
    for (passage, _), (_, text) in zip(pool[:60], pool[300:360], strict=True):
        yield Case(text, False, "other section", passage.source, passage.anchor)


def mutations(text: str, rng: random.Random) -> list[tuple[str, str]]:
    """Return false variants of a sentence by kind, in random order."""
    found = []
    if match := re.search(r"(?<![\w.\[])(\d+)(?![\w.]*\d)", text):
        found.append(("number", text[: match.start()] + str(int(match[1]) + rng.randint(1, 9)) + text[match.end() :]))
    if match := re.search(r"\b(do not|does not|is not|are not|cannot|should not|never|not)\b ?", text):
        word = match[1].split()[0].removesuffix("not") if match[1] not in ("never", "not") else ""
        plain = "" if word in ("do", "does") else word
        found.append(
            ("negation removed", re.sub("  +", " ", text[: match.start()] + plain + " " + text[match.end() :]))
        )
    elif match := re.search(r"\b(is|are|should|must|can|will|may)\b", text):
        found.append(("negation added", text[: match.end()] + " not" + text[match.end() :]))
    swaps = [(a, b) for a, b in SWAPS if re.search(rf"(?<![\w/-]){a}(?![\w/-])", text)]
    if swaps:
        first, second = rng.choice(swaps)
        found.append(("word swapped", re.sub(rf"(?<![\w/-]){first}(?![\w/-])", second, text, count=1)))
    match = re.search(r"\b(the|a|an) (\w{4,})\b (.{4,60}?) (the|a|an) (\w{4,})\b", text)
    if match and match[2].lower() != match[5].lower():
        changed = f"{match[1]} {match[5]} {match[3]} {match[4]} {match[2]}"
        found.append(("order", text[: match.start()] + changed + text[match.end() :]))
    rng.shuffle(found)
    return found


class Bench:
    """The document, embedded once."""

    def __init__(self) -> None:
        self.passages = developers_reference()
        self.vectors = embed([p.embed_text for p in self.passages])

    def context(self, case: Case) -> GroundingContext:
        """Return the checker over the case's own section and the nearest other passages."""
        own = [p for p in self.passages if (p.source, p.anchor) == (case.source, case.anchor)]
        if not own:
            raise SystemExit(f"no passage at {case.source}#{case.anchor}")
        order = np.argsort(-(self.vectors @ embed([case.sentence])[0]))
        near = [self.passages[i] for i in order[:40]]
        if case.kind == "other section":
            near = [p for p in near if case.sentence[:60] not in p.text and case.sentence[-60:] not in p.text]
        chosen = [*own, *[p for p in near if p not in own][:4]]
        return GroundingContext([PassageText(p.text, p.heading) for p in chosen], embed)


def main() -> None:
    """Print the error rates by kind of case."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--failures", action="store_true", help="print each wrong verdict")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    bench = Bench()
    cases = [*written(), *taken(bench.passages, random.Random(options.seed))]
    right: defaultdict[tuple[bool, str], list[bool]] = defaultdict(list)
    spent = []
    for case in cases:
        context = bench.context(case)
        start = time.perf_counter()
        verdict = context.check(case.sentence)
        spent.append(time.perf_counter() - start)
        right[case.true, case.kind].append(verdict.supported == case.true)
        if options.failures and verdict.supported != case.true:
            print(f"{'REJECTED' if case.true else 'ACCEPTED'} {case.kind} [{verdict.reason}] {case.sentence}")
    for (true, kind), outcomes in sorted(right.items()):
        print(f"{'true ' if true else 'false'} {kind:24} {len(outcomes):4}  wrong {outcomes.count(False):3}")
    for true, name in ((False, "false accepts"), (True, "false rejects")):
        every = [outcome for (label, _), outcomes in right.items() if label == true for outcome in outcomes]
        print(f"{name}: {every.count(False)} of {len(every)} = {every.count(False) / len(every):.1%}")
    print(f"check: median {np.median(spent) * 1000:.1f} ms, p95 {np.percentile(spent, 95) * 1000:.1f} ms")


if __name__ == "__main__":
    main()
