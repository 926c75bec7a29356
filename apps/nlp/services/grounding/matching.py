"""The rules by which a window of a passage carries a sentence: `compare` returns the first one that is broken.

Each content word, figure, name and command has its counterpart, in the same order within a clause, under the same
negation, modality, limits and conditions, with nothing left out in between that would widen the claim.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from apps.nlp.services.grounding.claims import Analysis, Word
from apps.nlp.services.grounding.text import parts, stem, words

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
