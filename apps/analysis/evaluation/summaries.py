"""Summaries and keywords beside what people wrote: the synopses of Debian's packages."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from apps.analysis.evaluation.labels import results_of
from apps.analysis.evaluation.report import Progress, Report, Row, rounded
from apps.analysis.services.grounding.text import content_terms, term_set
from apps.analysis.services.segments import sentences_of
from apps.analysis.services.summarize import EXTRACTIVE
from apps.analysis.types import Call
from apps.core.errors import Unavailable

STATUS = Path("/var/lib/dpkg/status")
_COUNT = 200
_LEAST_CHARS = 250
_PHRASES = 5


def descriptions_read(path: Path = STATUS) -> list[tuple[str, str]]:
    """Return (synopsis, long description) of the packages that are installed on this machine, by name.

    Descriptions that occur twice are taken once. Raises Unavailable "source_unavailable" where there is no dpkg.
    """
    try:
        blocks = path.read_text(encoding="utf-8", errors="replace").split("\n\n")
    except OSError as error:
        raise Unavailable("This machine has no list of Debian packages.", code="source_unavailable") from error
    found: dict[str, str] = {}
    for block in blocks:
        match = re.search(r"^Description: (.+)\n((?: .*\n?)+)", block + "\n", re.MULTILINE)
        if match is None:
            continue
        lines = [line.strip() for line in match.group(2).splitlines()]
        text = " ".join("\n\n" if line == "." else line for line in lines).strip()
        if len(text) >= _LEAST_CHARS and text not in found:
            found[text] = match.group(1)
    return [(synopsis, text) for text, synopsis in found.items()]


def summaries_evaluate(call: Call, progress: Progress) -> Report:
    """ROUGE-L of one sentence against the synopsis, beside the first sentence."""
    from rouge_score.rouge_scorer import RougeScorer

    rows = descriptions_read()[:_COUNT]
    texts = [text for _, text in rows]
    scorer = RougeScorer(["rougeL"], use_stemmer=True)

    def score(summaries: list[str]) -> float:
        pairs = zip(rows, summaries, strict=True)
        return rounded(sum(scorer.score(wanted, text)["rougeL"].fmeasure for (wanted, _), text in pairs) / len(rows))

    ours = {
        (method, length): [
            one["summary"] for one in results_of(call, "summarize", texts, progress, method=method, length=length)
        ]
        for method, length in (("extractive", "headline"), ("extractive", "short"), ("abstractive", "short"))
    }
    lead = [text[slice(*next(iter(sentences_of(text)), (0, len(text))))] for text in texts]
    baseline = {"first sentence (lead-1)": score(lead)}
    return Report(
        "summarize",
        EXTRACTIVE,
        f"{len(rows)} package descriptions of the Debian system, long text to synopsis",
        (
            Row("ROUGE-L, headline", score(ours["extractive", "headline"]), baseline),
            Row("ROUGE-L, extractive, one sentence", score(ours["extractive", "short"]), baseline),
            Row("ROUGE-L, abstractive, one sentence", score(ours["abstractive", "short"]), baseline),
        ),
        "A synopsis is a phrase of a few words, and most first sentences define the package: lead-1 is hard to beat here.",
    )


def keywords_evaluate(call: Call, progress: Progress) -> Report:
    """Share of a synopsis' words that the first five phrases of the long text have, beside its commonest words."""
    rows = descriptions_read()[:_COUNT]
    found = results_of(call, "keywords", [text for _, text in rows], progress, count=_PHRASES)
    named = [" ".join(keyword["text"] for keyword in one["keywords"]) for one in found]
    # As many words as our phrases have.
    common = [
        frozenset(word for word, _ in Counter(content_terms(text)).most_common(len(term_set(words))))
        for (_, text), words in zip(rows, named, strict=True)
    ]

    def recall(chosen: list[frozenset[str]]) -> float:
        wanted = [term_set(synopsis) for synopsis, _ in rows]
        shares = [len(a & b) / max(1, len(a)) for a, b in zip(wanted, chosen, strict=True)]
        return rounded(sum(shares) / len(shares))

    return Report(
        "keywords",
        found[0]["model"],
        f"{len(rows)} package descriptions of the Debian system, long text to the words of the synopsis",
        (
            Row(
                f"recall of the synopsis' words, {_PHRASES} phrases",
                recall([term_set(words) for words in named]),
                {"commonest words, as many": recall(common)},
            ),
        ),
    )
