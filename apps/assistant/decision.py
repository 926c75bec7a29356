"""Answer, abstain or hand over: a structured value decided before the model says a word.

The confidence is a logistic function of what the search found; its weights come from measured data:

    python -m bench.retrieval.fit_decision

which prints the constants below with their error on questions that were held out. None of the features depends on
the size or the subject of a collection, so that one threshold serves all of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, Self

from apps.assistant.complaints import complains
from apps.assistant.smalltalk import affirms, asks_for_person, talk_of
from apps.nlp.services.grounding.claims import analyse
from apps.nlp.services.grounding.text import (
    STOPWORDS,
    content_terms,
    fold,
    normalise,
    parts,
    term_set,
    tokens,
    words,
)

Kind = Literal["answer", "abstain", "handoff"]

FEATURES = ("cosine", "margin", "lexical", "coverage", "best_coverage", "unknown_name")
BIAS = -6.47
WEIGHTS = {
    "cosine": 8.81,
    "margin": 2.65,
    "lexical": 1.74,
    "coverage": 1.99,
    "best_coverage": 1.63,
    "unknown_name": -3.08,
}

# Questions are asked with these words about anything: that a passage lacks them says nothing.
_ASKING = words("""
    question answer help problem issue work works working possible able way ways find know tell explain happen happens
    mean means long much many often fast good best better easy quick quickly kind type sort thing things time times
    anything something everything someone nobody somebody please thing case example really allowed okay right wrong
    correct properly step steps start exactly normally actually usually currently
""")


class Found(Protocol):
    """What a decision reads of a passage; the search's Passage has it."""

    @property
    def text(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def heading(self) -> str: ...
    @property
    def cosine(self) -> float: ...
    @property
    def lexical(self) -> float: ...
    @property
    def score(self) -> float: ...


@dataclass(frozen=True)
class Decision:
    """What to do with a message. `reason` is a stable code; `confidence` is 0..1, that an answer was found.

    Reasons: found, partial (one of several questions); not_found, unknown_name, nothing_retrieved; small_talk_ and what
    `talk_of` says, complaint; asked_for_person, policy, repeated_failure. `language` is that of small talk, where its
    words tell it.
    """

    kind: Kind
    reason: str
    confidence: float
    language: str = ""


@dataclass(frozen=True)
class Thresholds:
    """An organisation's settings.

    `answer` is the least confidence to answer with; `handoff_after` the abstentions in a row, this one included,
    after which a person takes over (0: never); `handoff_phrases` are words that hand over at once.
    """

    answer: float = 0.5
    handoff_after: int = 2
    handoff_phrases: tuple[str, ...] = ()

    @classmethod
    def default(cls) -> Self:
        """Return the measured defaults."""
        return cls()

    def replaced(self, **changes: object) -> Self:
        """Return a copy with some settings changed; None leaves a setting as it is."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})  # type: ignore[arg-type]


def decide(
    question: str,
    passages: Sequence[Found],
    thresholds: Thresholds,
    *,
    abstentions: int = 0,
    before_search: bool = False,
    person_offered: bool = False,
) -> Decision | None:
    """Decide on a message from the passages found for it, best first.

    `abstentions` counts how many of the bot's last replies in a row abstained. With `before_search` only what the
    words alone decide is decided (hand-over on request or policy, small talk, complaints), and None means "search first".
    `person_offered` says that the bot has just asked whether the visitor would like to talk to a person.
    """
    early = _by_words(question, thresholds, person_offered)
    if early or before_search:
        return early
    found = evidence(question, passages, thresholds.answer)
    return found if found.kind == "answer" else failed(found.reason, found.confidence, thresholds, abstentions)


def evidence(question: str, passages: Sequence[Found], answer: float = Thresholds.answer) -> Decision:
    """Return what the passages alone decide: answer or abstain, whatever was said before."""
    if not passages:
        return Decision("abstain", "nothing_retrieved", 0.0)
    values = features(question, passages)
    confidence = confidence_of(values)
    if confidence >= answer:
        return Decision("answer", "found", confidence)
    return Decision("abstain", "unknown_name" if values["unknown_name"] >= 1 else "not_found", confidence)


def _by_words(question: str, thresholds: Thresholds, person_offered: bool) -> Decision | None:
    affirmed, talk = affirms(question), talk_of(question)
    # "Am I talking to a human?" asks for nobody.
    if (affirmed and person_offered) or (not talk.kind and asks_for_person(question)):
        return Decision("handoff", "asked_for_person", 1.0)
    if matches_phrase(question, thresholds.handoff_phrases):
        return Decision("handoff", "policy", 1.0)
    if talk.kind or affirmed:
        return Decision("abstain", f"small_talk_{talk.kind or 'okay'}", 1.0, talk.language)
    if complains(question):
        return Decision("abstain", "complaint", 1.0)
    return None if re.search(r"\w", question) else Decision("abstain", "small_talk_sign", 1.0)


def failed(reason: str, confidence: float, thresholds: Thresholds, abstentions: int) -> Decision:
    """Return the decision on a question without an answer: handed over when so many before it failed, too."""
    if thresholds.handoff_after and abstentions + 1 >= thresholds.handoff_after:
        return Decision("handoff", "repeated_failure", confidence)
    return Decision("abstain", reason, confidence)


def matches_phrase(question: str, phrases: Sequence[str]) -> bool:
    """True when a configured phrase stands in the message, whatever its case, inflection and white space."""
    folded, stems = fold(question), " ".join(t.form for t in tokens(normalise(question)))
    for phrase in phrases:
        wanted = fold(phrase)
        if not wanted:
            continue
        inner = " ".join(t.form for t in tokens(normalise(phrase)))
        if re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", folded) or (inner and f" {inner} " in f" {stems} "):
            return True
        if not wanted.isascii() and wanted in folded:
            return True
    return False


def confidence_of(values: Mapping[str, float]) -> float:
    """Return the logistic function of the weighted features."""
    total = BIAS + sum(weight * values[name] for name, weight in WEIGHTS.items())
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))


def features(question: str, passages: Sequence[Found]) -> dict[str, float]:
    """Return what the confidence is made of, each about 0..1.

    cosine         of the best passage
    margin         of the best cosine over the mean of the others: one clear hit, or many vague ones
    lexical        the search's own share of the question's words, rare ones weighing more, best of the first three
    coverage       share of the question's content words that the first three passages have between them
    best_coverage  the most that one of them has
    unknown_name   1 when the question names something (a product, an identifier) that no passage found has
    """
    cosines = sorted((p.cosine for p in passages), reverse=True)
    others = cosines[1:8]
    wanted = {t for t in content_terms(question) if t not in GENERIC}
    there = [term_set(f"{p.heading} {p.text}") for p in passages]
    first = there[:3]
    joined = frozenset[str]().union(*first)
    return {
        "cosine": cosines[0],
        "margin": cosines[0] - sum(others) / len(others) if others else 0.0,
        "lexical": max(p.lexical for p in passages[:3]),
        "coverage": _share(wanted, joined),
        "best_coverage": max(_share(wanted, terms) for terms in first),
        "unknown_name": float(bool(unknown_names(question, frozenset[str]().union(*there)))),
    }


def unknown_names(question: str, there: frozenset[str]) -> tuple[str, ...]:
    """Return the names, identifiers and figures of the question that do not occur among the terms `there`."""
    named = [w for w in analyse(question).words if w.kind in ("name", "code")]
    return tuple(w.raw for w in named if w.raw.lower() not in STOPWORDS and not _occurs(w.form, there))


def _occurs(form: str, there: frozenset[str]) -> bool:
    return form in there or all(part in there for part in parts(form))


def _share(wanted: set[str], there: frozenset[str]) -> float:
    return sum(_occurs(term, there) for term in wanted) / len(wanted) if wanted else 0.0


# Terms that a question about anything may have.
GENERIC = frozenset(t for word in _ASKING for t in content_terms(word))
