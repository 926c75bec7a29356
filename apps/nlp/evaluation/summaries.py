"""Summaries and keywords beside what people wrote: the synopses of Debian's packages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from apps.core.errors import Unavailable
from apps.nlp.evaluation.labels import results_of
from apps.nlp.evaluation.report import Progress, Report, Row, rounded
from apps.nlp.services.grounding.text import content_terms, term_set
from apps.nlp.services.segments import sentences_of
from apps.nlp.services.summarize import EXTRACTIVE
from apps.translation.types import Call

STATUS = Path("/var/lib/dpkg/status")
_COUNT = 200
_LEAST_CHARS = 250
_PHRASES = 5
_LEAD = "the first, as many (lead)"


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


def reported_part(rows: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """Return the descriptions that figures are given for. By name, so that packages of one family are in one part."""
    return rows[:_COUNT]


def development_part(rows: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """Return the other descriptions, on which weights were chosen (`python -m bench.summaries`)."""
    return rows[_COUNT:]


def words_kept(synopsis: str, text: str) -> float:
    """Return the share of a synopsis' words that a text has."""
    wanted = term_set(synopsis)
    return len(wanted & term_set(text)) / max(1, len(wanted))


def summaries_evaluate(call: Call, progress: Progress) -> Report:
    """ROUGE-L of one sentence against the synopsis, and what of its words three have, beside the first sentences."""
    from rouge_score.rouge_scorer import RougeScorer

    rows = reported_part(descriptions_read())
    texts = [text for _, text in rows]
    scorer = RougeScorer(["rougeL"], use_stemmer=True)

    def score(summaries: list[str]) -> float:
        pairs = zip(rows, summaries, strict=True)
        return rounded(sum(scorer.score(wanted, text)["rougeL"].fmeasure for (wanted, _), text in pairs) / len(rows))

    def kept(summaries: list[str]) -> float:
        return rounded(sum(map(words_kept, (wanted for wanted, _ in rows), summaries)) / len(rows))

    ours = {
        (method, length): [
            one["summary"] for one in results_of(call, "summarize", texts, progress, method=method, length=length)
        ]
        for method, length in (
            ("extractive", "headline"),
            ("extractive", "short"),
            ("extractive", "medium"),
            ("abstractive", "short"),
        )
    }
    first = {count: [" ".join(text[a:b] for a, b in sentences_of(text)[:count]) for text in texts] for count in (1, 3)}
    baseline = {_LEAD: score(first[1])}
    return Report(
        "summarize",
        EXTRACTIVE,
        f"{len(rows)} package descriptions of the Debian system, long text to synopsis",
        (
            Row("ROUGE-L, headline", score(ours["extractive", "headline"]), baseline),
            Row("ROUGE-L, extractive, one sentence", score(ours["extractive", "short"]), baseline),
            Row("ROUGE-L, abstractive, one sentence", score(ours["abstractive", "short"]), baseline),
            Row(
                "words of the synopsis that three sentences have",
                kept(ours["extractive", "medium"]),
                {_LEAD: kept(first[3])},
            ),
        ),
        "A synopsis is a phrase of a few words, and most first sentences define the package: the beginning is hard to beat"
        " here. The weights were chosen on the other descriptions of the system (`python -m bench.summaries`).",
    )


def keywords_evaluate(call: Call, progress: Progress) -> Report:
    """Share of a synopsis' words that the first five phrases of the long text have, beside its commonest words."""
    rows = reported_part(descriptions_read())
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
