"""Does a passage say what a generated sentence says? The check a sentence passes before a visitor sees it.

A small model invents. A sentence is released only when one window of one passage (1 to 3 consecutive sentences)
carries all of it: each content word, figure, name and command, in the same order within a clause, under the same
negation, modality, limits and conditions, with nothing left out in between that would widen the claim; and when
its embedding is near that window's. The rules are strict on purpose: a rejected sentence costs a quotation of the
passage instead, an accepted wrong one costs trust. Error rates: docs/adr/0004-grounding.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from apps.nlp.services.grounding.claims import Analysis, analyse, join
from apps.nlp.services.grounding.matching import compare
from apps.nlp.services.grounding.text import fold, is_list_item, passage_sentences

Embed = Callable[[Sequence[str]], np.ndarray]

MAX_WINDOWS = 48
MIN_COSINE = 0.55
# Least cosine of question and first sentence. Of true answers 85 % are above; what the default model copied from
# passages about something else was at 0.1 to 0.33.
MIN_RELEVANCE = 0.4

_PRONOUN_START = re.compile(
    r"(?:and |but |so |then |also,? |however,? |therefore,? |thus,? |instead,? |otherwise,? |additionally,? |"
    r"furthermore,? |in addition,? |moreover,? |finally,? )?"
    r"(?:it|its|this|that|these|those|they|their|them|he|she|his|her|such|both|the (?:latter|former|same|above)|"
    r"here|there it|another|the other|similarly|likewise|otherwise|instead|however|in (?:this|that|these|such) \w+)\b",
    re.IGNORECASE,
)
_FILLER = re.compile(
    r"""(?ix)^(?:
      (?:sure|certainly|of\ course|absolutely|okay|ok|great|yes|no|hello|hi|thanks|thank\ you|no\ problem|understood
         |you(?:'|\u2019)re\ welcome|(?:good|great)\ question|i\ understand|got\ it|here\ (?:you\ go|it\ is))
         \b[\w\ ,']{0,40}[.!:]?$
      |(?:i|we)(?:\ |'|\u2019).{0,30}
         \b(?:hope|happy|glad|sorry|apologi[sz]e|understand|assist|help\ you|let\ you\ know)\b.*
      |(?:please\ )?(?:let\ (?:me|us)\ know|feel\ free|don(?:'|\u2019)t\ hesitate|do\ not\ hesitate)\b.*
      |(?:based\ on|according\ to)\ (?:the|these|this|your)\ (?:\w+\ )?
         (?:passages?|context|information|documents?|text)[\w\ ,]*[:.]?$
      |(?:here|below|the\ following)\ (?:are|is)\b[^.]{0,80}:$
      |to\ (?:answer|summari[sz]e)\ (?:your|this|the)\ question[,:.]?.{0,20}$
      |in\ (?:summary|conclusion|short)[,:.]?$
      |is\ there\ anything\ else.*|if\ you\ have\ (?:any|more|further|other)\ (?:\w+\ )?questions\b.*
    )$"""
)


@dataclass(frozen=True)
class PassageText:
    """A retrieved passage: its text as extracted (list items on lines of their own) and its heading path."""

    text: str
    heading: str = ""


@dataclass(frozen=True)
class SentenceCheck:
    """The verdict on one sentence.

    `reason` is a stable code with a detail after a colon: "verbatim", "grounded", "filler", or why not
    ("empty", "question", "dangling", "term:x", "number:x", "name:x", "code:x", "order", "negation", "modality",
    "limit", "condition", "dropped", "cosine", "off_topic", "repeated", "lead_in", "another").
    `start` and `end` are the window in the passage, in code points.
    """

    supported: bool
    score: float
    passage: int | None
    reason: str
    start: int = 0
    end: int = 0

    @property
    def filler(self) -> bool:
        """True for talk without a claim, which is left out and counts neither way."""
        return self.reason == "filler"


@dataclass(frozen=True)
class _Window:
    passage: int
    start: int
    end: int
    text: str
    folded: str
    analysis: Analysis
    leans: bool


def check_sentence(sentence: str, passages: Sequence[PassageText], embed: Embed) -> SentenceCheck:
    """Check one sentence by itself; for a whole reply make one GroundingContext and use its `check`."""
    return GroundingContext(passages, embed).check(sentence)


class GroundingContext:
    """The windows of one reply's passages, analysed once and embedded only when a sentence gets that far.

    Cost:  analysing windows about 2 ms a passage, once; a check 1 ms, plus one call of `embed` with at most
           1 + 3 texts unless the sentence is copied word for word.
    Limits: the MAX_WINDOWS windows with most words in common are compared.

    With a `question`, the first sentence has to be about it (reason "off_topic" when it is true of a passage but
    answers something else); then a copied first sentence costs a call of `embed`, too. A sentence that was supported
    before is "repeated": a small model's loop ends there. A lead-in ("paste this line:") is not released ahead of what
    it leads to, which may fail: the quotation brings both.
    """

    def __init__(
        self,
        passages: Sequence[PassageText],
        embed: Embed,
        *,
        question: str = "",
        min_cosine: float = MIN_COSINE,
        min_relevance: float = MIN_RELEVANCE,
    ) -> None:
        self._embed = embed
        self._question = question
        self._min_cosine = min_cosine
        self._min_relevance = min_relevance
        self._said: set[str] = set()
        self._headings = [analyse(p.heading).terms for p in passages]
        self._windows = [w for i, p in enumerate(passages) for w in _windows(i, p.text)]
        self._vectors: dict[str, np.ndarray] = {}

    def check(self, sentence: str, previous: SentenceCheck | None = None) -> SentenceCheck:
        """Return whether the passages say `sentence`; `previous` is the check of the sentence released before it.

        A sentence that leans on the one before ("It does this by ...") holds only when that one was released and
        came from the same passage.
        """
        text = sentence.strip()
        if is_filler(text):
            return SentenceCheck(False, 0.0, None, "filler")
        if text.endswith("?"):
            return SentenceCheck(False, 0.0, None, "question")
        if self._question and text.endswith(":"):
            return SentenceCheck(False, 0.0, None, "lead_in")
        analysis = analyse(text)
        if not analysis.words:
            return SentenceCheck(False, 0.0, None, "empty")
        folded = fold(_unmarked(text))
        if folded in self._said:
            return SentenceCheck(False, 0.0, None, "repeated")
        leans = bool(_PRONOUN_START.match(re.sub(r"^[^\w]+", "", text)))
        best = SentenceCheck(False, 0.0, None, "term")
        for window, reason, coverage in self._candidates(analysis, folded):
            verdict = self._verdict(text, window, reason, coverage)
            if verdict.supported and leans and not _continues(verdict, previous):
                verdict = SentenceCheck(False, verdict.score, window.passage, "dangling", window.start, window.end)
            if verdict.supported:
                if not self._said and self._question and self._cosine(self._question, text) < self._min_relevance:
                    return SentenceCheck(False, 0.0, window.passage, "off_topic", window.start, window.end)
                self._said.add(folded)
                return verdict
            if verdict.score > best.score or best.passage is None:
                best = verdict
        return best

    def _candidates(self, analysis: Analysis, folded: str) -> Iterator[tuple[_Window, str, float]]:
        """Yield the windows most alike, best first: copies, then those that pass the rules, then the best failure."""
        copies = [w for w in self._windows if w.folded == folded]
        for window in copies:
            yield window, "verbatim", 1.0
        need = [w.form for w in analysis.words]
        ranked = sorted(
            ((sum(form in w.analysis.terms for form in need) / len(need), -len(w.text), i)
             for i, w in enumerate(self._windows)),
            reverse=True,
        )[:MAX_WINDOWS]  # fmt: skip
        failed: list[tuple[_Window, str, float]] = []
        passed = 0
        for coverage, _, index in ranked:
            window = self._windows[index]
            reason = compare(analysis, window.analysis, self._headings[window.passage] if window.leans else frozenset())
            if reason:
                failed.append((window, reason, coverage))
            elif passed < 3:
                passed += 1
                yield window, "", coverage
        yield from failed[:1]

    def _verdict(self, text: str, window: _Window, reason: str, coverage: float) -> SentenceCheck:
        place = (window.start, window.end)
        if reason == "verbatim":
            return SentenceCheck(True, 1.0, window.passage, reason, *place)
        if reason:
            return SentenceCheck(False, 0.5 * coverage, window.passage, reason, *place)
        cosine = self._cosine(text, window.text)
        if cosine < self._min_cosine:
            return SentenceCheck(False, cosine, window.passage, "cosine", *place)
        return SentenceCheck(True, min(1.0, cosine), window.passage, "grounded", *place)

    def _cosine(self, first: str, second: str) -> float:
        missing = [t for t in dict.fromkeys((first, second)) if t not in self._vectors]
        if missing:
            self._vectors.update(zip(missing, self._embed(missing), strict=True))
        return float(np.dot(self._vectors[first], self._vectors[second]))


def is_filler(sentence: str) -> bool:
    """True for talk that claims nothing ("Sure!", "I hope this helps."): left out, not counted as unsupported."""
    return bool(_FILLER.match(sentence.strip().strip("*_ ")))


def leans_back(sentence: str) -> bool:
    """True when the sentence starts with a word that points at something said before it."""
    return bool(_PRONOUN_START.match(re.sub(r"^[^\w]+", "", sentence)))


def _continues(verdict: SentenceCheck, previous: SentenceCheck | None) -> bool:
    if previous is None or not previous.supported or previous.passage != verdict.passage:
        return False
    return previous.start <= verdict.start


def _unmarked(text: str) -> str:
    return re.sub(r"^[ \t]*(?:[-*+\u2022]|\(?\d{1,3}[.)])[ \t]+", "", text)


def _windows(passage: int, text: str) -> Iterator[_Window]:
    """Yield every run of 1 to 3 sentences. An item under a negated lead-in is never taken without it."""
    pieces = passage_sentences(text)
    analyses = [analyse(p.text) for p in pieces]
    guarded: set[int] = set()
    lead: int | None = None
    for i, piece in enumerate(pieces):
        if is_list_item(piece.text):
            if lead is not None and (_negated(analyses[lead]) or _conditional(analyses[lead])):
                guarded.add(i)
        else:
            lead = i if piece.text.rstrip().endswith(":") else None
    for size in (1, 2, 3):
        for i in range(len(pieces) - size + 1):
            if i in guarded:
                continue
            start, end = pieces[i].start, pieces[i + size - 1].end
            window = text[start:end]
            yield _Window(
                passage, start, end, window, fold(_unmarked(window)), join(analyses[i : i + size]), leans_back(window)
            )


def _negated(analysis: Analysis) -> bool:
    return any(w.negated for w in analysis.words)


def _conditional(analysis: Analysis) -> bool:
    return any(w.kind == "condition" and w.form in ("if", "unless", "except", "until") for w in analysis.words)
