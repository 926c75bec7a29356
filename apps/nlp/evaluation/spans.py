"""Entities, personal data, answers: right pieces of a text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from apps.nlp.evaluation.labels import results_of
from apps.nlp.evaluation.report import DATA, Progress, Report, Row, rounded, tsv_read
from apps.translation.types import Call

_MARK = re.compile(r"\[([^\]]+)\]\((\w+)\)")
# A baseline for names: words that begin with a capital letter, not at the beginning.
_CAPITALS = re.compile(r"(?<=[a-z,] )[A-Z]\w+(?: [A-Z]\w+)*")
_SIMPLE = {
    "email": re.compile(r"\S+@\S+\.\w+"),
    "credit_card": re.compile(r"\b(?:\d{4} ){3}\d{4}\b|\b\d{15,16}\b"),
    "phone": re.compile(r"\+\d[\d -]{7,}\d"),
    "ip_address": re.compile(r"\b\d+\.\d+\.\d+\.\d+\b"),
}
Spans = frozenset[tuple[int, int, str]]


def marked_read(name: str) -> list[tuple[str, Spans]]:
    """Return texts with their labelled spans, out of lines with `[text](type)`."""
    rows = []
    for line in (DATA / name).read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        text, spans, end = "", set(), 0
        for match in _MARK.finditer(line):
            text += line[end : match.start()]
            spans.add((len(text), len(text) + len(match.group(1)), match.group(2)))
            text += match.group(1)
            end = match.end()
        rows.append((text + line[end:], frozenset(spans)))
    return rows


def entities_evaluate(call: Call, progress: Progress) -> Report:
    """F1 of exact spans with their types, beside capital letters."""
    rows = marked_read("entities.txt")
    found = results_of(call, "entities", [text for text, _ in rows], progress)
    wanted = [spans for _, spans in rows]
    ours = [frozenset((e["start"], e["end"], e["type"]) for e in one["entities"]) for one in found]
    capitals = [frozenset((m.start(), m.end(), "person") for m in _CAPITALS.finditer(text)) for text, _ in rows]
    figures = [Row("F1, exact place and type", _span_f1(wanted, ours), {"capital letters": _span_f1(wanted, capitals)})]
    for kind in ("person", "organization", "place", "date", "amount", "order_number"):
        figures.append(Row(f"F1 of {kind}", _span_f1(_only(wanted, kind), _only(ours, kind)), {}))
    count = sum(map(len, wanted))
    return Report(
        "entities",
        found[0]["model"],
        f"{len(rows)} sentences with {count} names labelled by hand (data/entities.txt)",
        tuple(figures),
    )


def redaction_evaluate(call: Call, progress: Progress) -> Report:
    """Share of the personal data that is masked, and of the masks that are right, beside four simple patterns."""
    rows = marked_read("redaction.txt")
    found = results_of(call, "redact", [text for text, _ in rows], progress)
    wanted = [spans for _, spans in rows]
    ours = [frozenset((e["start"], e["end"], e["type"]) for e in one["entities"]) for one in found]
    simple = [
        frozenset((m.start(), m.end(), kind) for kind, pattern in _SIMPLE.items() for m in pattern.finditer(text))
        for text, _ in rows
    ]
    return Report(
        "redact",
        found[0]["model"],
        f"{len(rows)} messages with {sum(map(len, wanted))} pieces of personal data, made up (data/redaction.txt)",
        (
            Row("recall, every character masked", _covered(wanted, ours), {"four patterns": _covered(wanted, simple)}),
            Row("precision", _covered(ours, wanted), {"four patterns": _covered(simple, wanted)}),
        ),
        "Names are looked for in English only. Masking is help, not a guarantee.",
    )


def answers_evaluate(call: Call, progress: Progress) -> Report:
    """Share of questions whose answer holds the right piece, and of those without an answer that are told so."""
    rows = [(row[0], row[1], row[2] if len(row) > 2 else "") for row in tsv_read("answers.tsv")]
    results = []
    for done, (text, question, _) in enumerate(rows, 1):
        results += results_of(call, "answer", [text], lambda *_: None, question=question)
        progress(done, len(rows))
    with_answer = [(one, row) for one, row in zip(results, rows, strict=True) if row[2]]
    without = [one for one, row in zip(results, rows, strict=True) if not row[2]]
    right = [row[2].lower() in (one["answer"] or "").lower() for one, row in with_answer]
    first = [row[2].lower() in row[0].split(". ")[0].lower() for _, row in with_answer]
    return Report(
        "answer",
        results[0]["model"],
        f"{len(rows)} questions about short texts, {len(without)} of them without an answer there (data/answers.tsv)",
        (
            Row(
                "right piece found",
                rounded(sum(right) / len(right)),
                {"first sentence": rounded(sum(first) / len(first))},
            ),
            Row(
                "told that the text does not say",
                rounded(sum(not one["found"] for one in without) / len(without)),
                {"first sentence": 0.0},
            ),
        ),
    )


def _only(rows: Sequence[Spans], kind: str) -> list[Spans]:
    return [frozenset(span for span in spans if span[2] == kind) for spans in rows]


def _span_f1(wanted: Sequence[Spans], found: Sequence[Spans]) -> float:
    hits = sum(len(a & b) for a, b in zip(wanted, found, strict=True))
    return rounded(2 * hits / max(1, sum(map(len, wanted)) + sum(map(len, found))))


def _covered(wanted: Sequence[Spans], found: Sequence[Spans]) -> float:
    """Return the share of the wanted spans all of whose characters are in some found span, of whatever type."""
    hits = total = 0
    for spans, others in zip(wanted, found, strict=True):
        places = {place for start, end, _ in others for place in range(start, end)}
        total += len(spans)
        hits += sum(places.issuperset(range(start, end)) for start, end, _ in spans)
    return rounded(hits / max(1, total))
