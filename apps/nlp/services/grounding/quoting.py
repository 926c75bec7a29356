"""The answer in the document's own words: the sentences of one passage that answer a question best.

Used when what the model wrote does not hold. A quotation is verbatim, of one passage, at most MAX_QUOTE_CHARS long
and whole: it does not start with a word that points back, does not end in a colon, and a list comes with its lead-in
and all of its items.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from apps.nlp.services.grounding.check import Embed, PassageText, leans_back
from apps.nlp.services.grounding.exact import Exact, holds, is_about_another, others, speaks_for
from apps.nlp.services.grounding.text import Sentence, content_terms, is_list_item, passage_sentences, term_set

MAX_QUOTE_CHARS = 600
MAX_SENTENCES = 3
MAX_CANDIDATES = 48
LEXICAL_SHARE = 0.15
RANK_PENALTY = 0.15
LENGTH_BONUS = 0.0004
CODE_BONUS = 0.08
FIGURE_BONUS = 0.06
CONTEXT_SHARE = 0.3
# For each thing in a quotation that is like what was asked for and is not it, two at most.
OTHER_PENALTY = 0.1
MIN_COSINE = 0.25

_HOW_TO = re.compile(
    r"^\W*(?:\w+\W+){0,3}?(?:how (?:do|can|to|should|would|does)|(?:what|which) command|como)\b|怎么|如何",
    re.IGNORECASE,
)
_FIGURE = re.compile(
    r"^\W*(?:\w+\W+){0,3}?(?:how (?:many|much|long|often|big|large|old|soon|far)|when (?!does|do|should|can|must)"
    r"|(?:what|which) (?:version|year|number|port|size|price))\b|多少|多久|多大|几",
    re.IGNORECASE,
)
_HAS_FIGURE = re.compile(
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|twelve|once|twice|daily|weekly|monthly|never|always)\b",
    re.IGNORECASE,
)
# "in three cases.", "two things that you should do.": what is announced has to be quoted too.
_ANNOUNCES = re.compile(
    r"\b(two|three|four|five|six|seven|several|following|these|some|a few|number of) (?:\w+ ){0,2}?"
    r"(?:things|cases|steps|ways|reasons|rules|conditions|types|kinds|questions|points|options|roles|possibilities"
    r"|phases|schemes|items|criteria)\b"
    r"[^.]{0,40}[.:]$",
    re.IGNORECASE,
)
_COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7}
_CODE = re.compile(r"[<>{}]|^\s*\$ |(?<!\w)--?\w|\b\w+\(|=|^\s{2,}\S|;$|^\w+ [\w./:-]+$")
_LOOSE_START = re.compile(
    r"(?i)^\W*(?:and|but|or|nor|so|yet|for example|e\.g|in addition|finally|secondly|second|third)\b"
)


@dataclass(frozen=True)
class Quote:
    """A verbatim piece of one passage; `sentences` are its parts, `start` and `end` its place in code points."""

    text: str
    passage_index: int
    sentences: tuple[str, ...]
    start: int
    end: int
    score: float


@dataclass(frozen=True)
class _Span:
    passage: int
    start: int
    end: int
    text: str
    sentences: tuple[str, ...]


def quote_answer(
    question: str, passages: Sequence[PassageText], embed: Embed, exact: Sequence[Exact] = ()
) -> Quote | None:
    """Return the best quotation for `question`, or None when no passage has one that can stand by itself, is near the
    question and speaks of no other version, code or number than what the question names, `exact`.

    Cost: one call of `embed` with the question, the headings and at most MAX_CANDIDATES candidates.
    """
    wanted = frozenset(content_terms(question))
    spans = [
        span
        for i, p in enumerate(passages)
        for span in _spans(i, p.text, exact)
        if speaks_for(span.text, p.text, p.heading, exact)
        and not any(is_about_another(sentence, exact) for sentence in span.sentences)
    ]
    spans.sort(key=lambda s: (-_overlap(wanted, s.text) + RANK_PENALTY * s.passage, s.passage, s.start, s.end))
    spans = _spread(spans, MAX_CANDIDATES)
    if not spans:
        return None
    headings = [p.heading or " " for p in passages]
    vectors = embed([question, *headings, *(s.text for s in spans)])
    asked, about, found = vectors[0], vectors[1 : 1 + len(headings)], vectors[1 + len(headings) :]
    how_to, figure = bool(_HOW_TO.search(question)), bool(_FIGURE.search(question))
    scores = [
        (1 - CONTEXT_SHARE) * float(np.dot(asked, vector))
        + CONTEXT_SHARE * float(np.dot(asked, about[span.passage]))
        + LEXICAL_SHARE * _overlap(wanted, span.text)
        - RANK_PENALTY * span.passage
        + LENGTH_BONUS * len(span.text)
        + (CODE_BONUS if how_to and has_code(span.text) else 0.0)
        + (FIGURE_BONUS if figure and _HAS_FIGURE.search(span.text) else 0.0)
        + _exactness(span.text, exact)
        for span, vector in zip(spans, found, strict=True)
    ]
    best = int(np.argmax(scores))
    span = spans[best]
    if float(np.dot(asked, found[best])) < MIN_COSINE:
        return None
    return Quote(span.text, span.passage, span.sentences, span.start, span.end, scores[best])


def _exactness(text: str, exact: Sequence[Exact]) -> float:
    beside = min((others(text, one) for one in exact if one.strict), default=0)
    amounts = any(holds(text, one) for one in exact if not one.strict)
    return (FIGURE_BONUS if amounts else 0.0) - OTHER_PENALTY * min(beside, 2)


def item_rest(text: str, start: int, end: int) -> str:
    """Return what the list item that holds [start, end) of a passage goes on with after it; "" outside of lists."""
    line_start, line_end = text.rfind("\n", 0, start) + 1, text.find("\n", end)
    line_end = len(text) if line_end < 0 else line_end
    inside = end - start > 0 and is_list_item(text[line_start:line_end]) and "\n" not in text[start:end].strip()
    rest = text[end:line_end].strip() if inside else ""
    return rest if len(rest) <= MAX_QUOTE_CHARS // 2 else ""


def has_code(text: str) -> bool:
    """True when a line of `text` looks like a command or code."""
    return any(_CODE.search(line) for line in text.split("\n")) or "`" in text


def _spread(spans: Sequence[_Span], limit: int) -> list[_Span]:
    """Keep at most `limit` candidates, and at least a few of the first passages whatever their words."""
    kept = [s for s in spans if s.passage == 0][: limit // 2]
    kept += [s for s in spans if s.passage != 0][: limit - len(kept)]
    return kept


def _overlap(wanted: frozenset[str], text: str) -> float:
    return len(wanted & term_set(text)) / len(wanted) if wanted else 0.0


def _spans(passage: int, text: str, exact: Sequence[Exact] = ()) -> Iterator[_Span]:
    """Yield the whole, self-contained pieces of a passage: paragraphs' sentences, and lists with their lead-ins."""
    units = _units(text)
    for first in range(len(units)):
        opening = units[first][0].text
        if _loose(opening) or (is_list_item(opening) and not _stands_alone(units[first], exact)):
            continue
        for last in range(first, min(first + _reach(units[first]), len(units))):
            parts = [s for unit in units[first : last + 1] for s in unit]
            start, end = parts[0].start, parts[-1].end
            if end - start > MAX_QUOTE_CHARS:
                break
            if parts[-1].text.rstrip().endswith((":", ",")) or len(text[start:end].split()) < 4:
                continue
            if any(i + _announced(units[i]) > last for i in range(first, last + 1)) and last + 1 < len(units):
                continue
            yield _Span(passage, start, end, text[start:end], tuple(s.text for s in parts))


def _announced(unit: Sequence[Sentence]) -> int:
    """How many sentences a unit announces and does not bring along: "in two cases." 2, "some reasons." 1."""
    match = _ANNOUNCES.search(unit[-1].text)
    return _COUNTS.get(match.group(1).lower(), 1) if match else 0


def _reach(unit: Sequence[Sentence]) -> int:
    """How many units a quotation may have: more after a sentence that announces some."""
    return MAX_SENTENCES + _announced(unit)


def _units(text: str) -> list[list[Sentence]]:
    """Group the sentences of a passage into what may not be torn: a lead-in ending in a colon with what it leads to."""
    units: list[list[Sentence]] = []
    open_lead = False
    for sentence in passage_sentences(text):
        if not re.search(r"[^\W\d_]", sentence.text):
            continue  # the number of a footnote
        item = is_list_item(sentence.text)
        new_line = sentence.start == 0 or text[sentence.start - 1] == "\n"
        code_line = new_line and not item and bool(_CODE.search(sentence.text)) and not sentence.text.endswith(".")
        if open_lead and (item or not new_line or code_line or units[-1][-1].text.endswith(":")):
            units[-1].append(sentence)
        elif not new_line and units and is_list_item(units[-1][0].text):
            units[-1].append(sentence)  # what an item goes on with is nothing without its beginning
        else:
            units.append([sentence])
            open_lead = False
        if sentence.text.rstrip().endswith(":") and not item:
            open_lead = True
    return [unit for unit in units if not _cut(unit[-1].text, unit)]


def _cut(last: str, unit: Sequence[Sentence]) -> bool:
    """True when a unit ends in a lead-in whose list or code is in another passage."""
    return last.rstrip().endswith(":") and len(unit) == 1


def _stands_alone(unit: Sequence[Sentence], exact: Sequence[Exact]) -> bool:
    """An item of a list without its lead-in may be quoted when it is a whole sentence, or names what was asked for."""
    if any(holds(unit[0].text, one) for one in exact if one.strict):
        return True
    body = re.sub(r"^\W*(?:\d+[.)])?\s*", "", unit[0].text)
    return body[:1].isupper() and body.rstrip().endswith((".", "!")) and len(body.split()) >= 6


def _loose(text: str) -> bool:
    body = re.sub(r"^\W*(?:\d+[.)]\s+)?", "", text)
    if leans_back(body) or _LOOSE_START.match(body):
        return True
    return body[:1].islower() and len(body.split()) > 1 and not _CODE.search(body)
