"""Does a passage say what a generated sentence says? The check a sentence passes before a visitor sees it.

A small model invents. A sentence is released only when one window of one passage (1 to 3 consecutive sentences)
carries all of it: each content word, figure, name and command, in the same order within a clause, under the same
negation, modality, limits and conditions, with nothing left out in between that would widen the claim; and when
its embedding is near that window's. The rules are strict on purpose: a rejected sentence costs a quotation of the
passage instead, an accepted wrong one costs trust. Error rates: docs/adr/0004-grounding.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from apps.assistant.claims import Analysis, Word, analyse, join
from apps.assistant.text import fold, is_list_item, parts, passage_sentences, stem, words

Embed = Callable[[Sequence[str]], np.ndarray]

MAX_WINDOWS = 48
MIN_COSINE = 0.55
# Least cosine of question and first sentence. Of true answers 85 % are above; what the default model copied from
# passages about something else was at 0.1 to 0.33.
MIN_RELEVANCE = 0.4

# Words whose absence from the passage changes no claim.
SOFT = frozenset(
    stem(w)
    for w in words("""
    also provide provides help helps ensure follow following way ways simply please easily process step steps able
    following particular specific various different order allow allows include includes perform example
    """)
)

SYNONYMS = tuple(
    frozenset(stem(w) for w in words(group))
    for group in (
        "email mail e-mail",
        "website site web",
        "remove delete",
        "begin start",
        "end finish",
        "fix correct repair",
        "obtain get fetch",
        "send submit mail",
        "contact ask",
        "program software application",
        "developer dev",
        "information info",
        "documentation docs documents",
        "repository repo",
        "display show",
        "choose select pick",
        "describe explain",
        "build compile",
        "check verify",
        "large big",
    )
)

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
    "limit", "condition", "dropped", "cosine", "off_topic", "repeated"). `start` and `end` are the window in the passage, in code points.
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
    before is "repeated": a small model's loop ends there.
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


def compare(claim: Analysis, window: Analysis, heading: frozenset[str] = frozenset()) -> str:
    """Return "" when `window` carries the whole of `claim`, else the code of the first rule that it breaks."""
    candidates = []
    for word in claim.words:
        found = [i for i, other in enumerate(window.words) if _same(word, other)]
        if not found and not (word.form in heading and word.kind in ("name", "code", "term")):
            if word.kind == "term" and word.form in SOFT:
                continue
            return f"{word.kind}:{word.raw}"
        if found:
            candidates.append((word, found))
    if len(candidates) < max(1, round(0.6 * len(claim.words))):
        return "term:heading"
    places = _align(candidates, window)
    pairs = [(word, window.words[place]) for (word, _), place in zip(candidates, places, strict=True)]
    return (
        _order(candidates, places, window)
        or _figures(claim, pairs, window)
        or _polarity(claim, pairs)
        or _limits(claim, window, pairs)
        or _dropped(places, window)
    )


def _same(word: Word, other: Word) -> bool:
    if (word.kind == "condition") != (other.kind == "condition"):
        return False
    if word.form == other.form:
        return True
    if "number" in (word.kind, other.kind):
        return False
    if "code" in (word.kind, other.kind):
        return word.form in parts(other.form) and len(word.form) > 2 and word.kind != "code"
    if "name" in (word.kind, other.kind) and word.form[:1] != other.form[:1]:
        return False
    if any(word.form in group and other.form in group for group in SYNONYMS):
        return True
    return _related(word.form, other.form)


def _related(first: str, second: str) -> bool:
    """True for two stems of one root ("mainten", "maintain"): plain words that differ in their last letters only."""
    short, long = sorted((first, second), key=len)
    if not (short.isalpha() and long.isalpha()) or len(long) - len(short) > 4:
        return False
    return len(short) >= 5 and short[: max(5, len(short) - 2)] == long[: max(5, len(short) - 2)]


def _align(candidates: Sequence[tuple[Word, list[int]]], window: Analysis) -> list[int]:
    """Choose one place in the window for each word of the claim so that order is kept and gaps are small."""
    table: list[dict[int, tuple[float, int]]] = []
    for i, (word, found) in enumerate(candidates):
        row: dict[int, tuple[float, int]] = {}
        for place in found:
            own = 0.0 if window.words[place].form == word.form else 0.3
            if i == 0:
                row[place] = (own, -1)
                continue
            row[place] = min((cost + own + _step(before, place), before) for before, (cost, _) in table[-1].items())
        table.append(row)
    place = min(table[-1], key=lambda p: table[-1][p][0])
    places = [place]
    for row in reversed(table[1:]):
        place = row[place][1]
        places.append(place)
    return places[::-1]


def _step(before: int, place: int) -> float:
    return 0.1 * (place - before - 1) if place > before else 1.5


def _order(candidates: Sequence[tuple[Word, list[int]]], places: Sequence[int], window: Analysis) -> str:
    """Words of one clause keep their order and come from one sentence; a sentence's clauses may change places once."""
    moved = 0
    drawn: Counter[int] = Counter(window.words[place].sentence for place in places)
    if len(drawn) > 1 and min(drawn.values()) < 2:
        return "order"
    for i in range(1, len(places)):
        first, second = candidates[i - 1][0], candidates[i][0]
        before, place = window.words[places[i - 1]], window.words[places[i]]
        apart = before.sentence != place.sentence
        together = first.clause == second.clause
        if first.kind == "condition" and together and before.clause != place.clause:
            return "order"
        if places[i] > places[i - 1] and not (apart and together):
            continue
        if apart or together or before.clause == place.clause:
            return "order"
        moved += 1
    return "order" if moved > 1 else ""


def _figures(claim: Analysis, pairs: Sequence[tuple[Word, Word]], window: Analysis) -> str:
    """A figure stands beside the same word as in the window: its unit, or what it counts or versions."""
    for i, (word, place) in enumerate(pairs):
        if word.kind != "number":
            continue
        beside = [p.form for w, p in pairs[max(0, i - 1) : i + 2] if w is not word and abs(w.index - word.index) <= 3]
        near = {w.form for w in window.words if w.index != place.index and abs(w.index - place.index) <= 3}
        if beside and not near & set(beside):
            return f"number:{word.raw}"
    return ""


def _polarity(claim: Analysis, pairs: Sequence[tuple[Word, Word]]) -> str:
    if claim.bare_negation:
        return "negation"
    for word, place in pairs:
        if word.negated != place.negated:
            return "negation"
    for word, place in pairs:
        if word.modal != place.modal and not _instruction(word, place):
            return "modality"
    return ""


def _instruction(word: Word, place: Word) -> bool:
    """True when "you must (should) do x" and "do x" say the same: an instruction in its two forms."""
    if word.modal == "" and place.modal in ("must", "should"):
        return word.clause == 0 or place.lead
    return word.modal == "should" and place.modal == "" and place.lead


def _limits(claim: Analysis, window: Analysis, pairs: Sequence[tuple[Word, Word]]) -> str:
    clauses = {place.clause for _, place in pairs}
    wordless = set(range(min(clauses), max(clauses) + 2)) - {w.clause for w in window.words}
    have = Counter(cue for cue, clause in window.limits if clause in clauses | wordless)
    if have != Counter(cue for cue, _ in claim.limits):
        return "limit"
    used = {place.sentence for _, place in pairs}
    binding = ("if", "unless", "until", "except", "otherwise", "instead")
    near = (*binding, "before", "after")
    there = Counter(
        w.form
        for w in window.words
        if w.kind == "condition" and w.sentence in used and w.form in (near if w.clause in clauses else binding)
    )
    said = Counter(w.form for w in claim.words if w.form in near and w.kind == "condition")
    return "condition" if there - said else ""


def _dropped(places: Sequence[int], window: Analysis) -> str:
    """Reject what leaves out words inside or before the part it uses: that widens a claim ("native packages")."""
    kept = set(places)
    used = [window.words[p] for p in sorted(kept)]
    asides = {w.aside for w in used}
    for sentence in {w.sentence for w in used}:
        own = [w for w in used if w.sentence == sentence]
        for i, word in enumerate(window.words):
            if word.sentence != sentence or i in kept or _droppable(word, asides):
                continue
            inside = own[0].index < word.index < own[-1].index
            before = word.index < own[0].index and word.clause == own[0].clause
            beside = word.index == own[-1].index + 1 and word.clause == own[-1].clause
            if inside or before or beside:
                return f"dropped:{word.raw}"
    return ""


def _droppable(word: Word, asides: set[int]) -> bool:
    """True for a word whose absence widens nothing: in a bracket that is left out as a whole, adverbs, soft words."""
    if word.aside and word.aside not in asides:
        return True
    return word.kind == "term" and (word.raw.lower().endswith("ly") or word.form in SOFT)
