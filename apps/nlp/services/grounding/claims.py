"""What a sentence asserts beyond its topic: figures, names, negation, modality, conditions.

`Analysis` is the form in which grounding.py compares a sentence with a window of a passage. Cues are short,
closed lists, written for English; a cue that is not listed is treated as a content word, which is the safe side.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from apps.nlp.services.grounding.text import Token, is_stopword, normalise, parts, stem, tokens, words

NEGATION = words("""
    not no never none nothing nobody nowhere neither nor without cannot can't won't don't doesn't didn't isn't
    aren't wasn't weren't shouldn't mustn't couldn't wouldn't hasn't haven't hadn't needn't mightn't unable
    impossible hardly lack lacks lacking fails fail discouraged deprecated forbidden
""")

MODAL = {
    "must": "must", "required": "must", "mandatory": "must", "obliged": "must", "shall": "must", "need": "must",
    "needs": "must", "requires": "must", "require": "must", "necessary": "must", "obligatory": "must",
    "compulsory": "must", "needed": "must", "mustn't": "must", "shan't": "must",
    "should": "should", "ought": "should", "recommended": "should", "recommend": "should", "advised": "should",
    "advisable": "should", "preferable": "should", "preferred": "should", "encouraged": "should",
    "discouraged": "should", "suggest": "should", "suggested": "should", "expected": "should",
    "shouldn't": "should", "supposed": "should", "urged": "should",
    "may": "may", "might": "may", "can": "may", "could": "may", "possible": "may", "optional": "may",
    "optionally": "may", "allowed": "may", "permitted": "may", "able": "may", "possibly": "may", "perhaps": "may",
    "cannot": "may", "can't": "may", "couldn't": "may", "unable": "may", "impossible": "may", "probably": "may",
    "likely": "may", "maybe": "may", "mightn't": "may",
}  # fmt: skip

# Words that limit what is said. A sentence has to keep those of its source and may not add its own.
LIMITS = {
    "only": "only", "solely": "only", "exclusively": "only", "just": "only",
    "all": "all", "every": "all", "always": "all", "any": "any", "each": "all", "everyone": "all", "anyone": "any",
    "entire": "all", "whole": "all", "both": "both", "either": "either",
    "some": "some", "several": "some", "certain": "some", "sometimes": "some", "few": "few", "many": "many",
    "most": "most", "mostly": "most", "usually": "most", "normally": "most", "generally": "most",
    "typically": "most", "often": "often", "frequently": "often", "rarely": "rare", "seldom": "rare",
    "occasionally": "some", "automatically": "auto", "manually": "manual",
    "least": "least", "minimum": "least", "maximum": "atmost", "exactly": "exact", "almost": "almost",
    "nearly": "almost", "about": "about", "roughly": "about", "approximately": "about",
    "more": "more", "less": "less", "fewer": "less", "than": "than", "over": "over", "under": "under",
    "immediately": "now", "directly": "directly", "first": "first", "last": "last", "again": "again",
    "currently": "currently", "previously": "formerly", "formerly": "formerly", "longer": "longer", "yet": "yet",
    "off": "off", "down": "down", "out": "out", "outside": "outside", "inside": "inside", "below": "below",
    "above": "above", "against": "against", "within": "within",
}  # fmt: skip

CONDITIONS = {
    "if": "if", "when": "if", "whenever": "if", "once": "if", "provided": "if", "unless": "unless",
    "until": "until", "till": "until", "except": "except", "before": "before", "after": "after",
    "while": "while", "because": "because", "since": "because", "instead": "instead", "although": "although",
    "though": "although", "without": "without", "during": "during", "otherwise": "otherwise",
    "besides": "except", "apart": "except", "but": "but", "however": "but", "whether": "whether", "or": "or",
}  # fmt: skip

_NUMBER_WORDS = {
    "zero": "0", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8",
    "nine": "9", "ten": "10", "eleven": "11", "twelve": "12", "thirteen": "13", "fourteen": "14", "fifteen": "15",
    "sixteen": "16", "seventeen": "17", "eighteen": "18", "nineteen": "19", "twenty": "20", "thirty": "30",
    "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90",
    "hundred": "100", "thousand": "1000", "million": "1000000", "twice": "2", "half": "0.5", "dozen": "12",
    "second": "2nd", "third": "3rd", "fourth": "4th", "fifth": "5th", "double": "2", "triple": "3",
}  # fmt: skip

_CLAUSE_BREAK = re.compile(r"[,;:()\u2014\u3002\uff0c\uff1b]|\s-\s|[.!?](?=\s|$)|\n")
_CLAUSE_WORDS = words("but which because so although though while however if when whenever unless until")
_ONE_UNIT = re.compile(
    r"\bone\b(?=\s+(?:day|week|month|year|hour|minute|second|time|percent|file|copy|page)s?\b)", re.IGNORECASE
)
_HAVE_TO = re.compile(r"\b(?:have|has|had) to\b", re.IGNORECASE)


@dataclass(frozen=True)
class Word:
    """A word that carries meaning, with the negation and the modality of its clause.

    `index` is the token's place, so that a gap shows what stands between two words; `lead` tells that the token
    before it is a modal, "to" or the start of the sentence, as in an instruction; `aside` numbers the bracket that
    the word stands in, 0 for none.
    """

    form: str
    raw: str
    kind: str  # "term", "number", "name", "code" or "condition"
    index: int
    clause: int
    sentence: int
    negated: bool
    modal: str
    lead: bool
    aside: int


@dataclass(frozen=True)
class Analysis:
    """Everything about a sentence or window that has to agree.

    `limits` pairs a cue with its clause; `bare_negation` tells of a clause that only negates ("or is not").
    """

    words: tuple[Word, ...]
    limits: tuple[tuple[str, int], ...]
    size: int
    clauses: int
    terms: frozenset[str]
    bare_negation: bool = False


def analyse(text: str) -> Analysis:
    """Return the analysis of one sentence: one pass over its tokens, clause by clause."""
    text = _plain(text)
    found = tokens(text)
    clauses = _clauses(text, found)
    scopes = _scopes(found, clauses)
    asides = _asides(text, found)
    words: list[Word] = []
    limits: list[tuple[str, int]] = []
    for index, token in enumerate(found):
        low = _low(token)
        name = _is_name(text, token)
        if low in LIMITS and not name:
            limits.append((LIMITS[low], clauses[index]))
        kind = _kind(low, name, token)
        if kind:
            negated, modal = scopes[clauses[index]]
            before = _low(found[index - 1]) if index else "to"
            form = CONDITIONS[low] if kind == "condition" else _form(token, low, kind)
            lead = before in MODAL or before in ("to", "please")
            words.append(Word(form, token.raw, kind, index, clauses[index], 0, negated, modal, lead, asides[index]))
    terms = frozenset(form for word in words for form in (word.form, *parts(word.form)))
    worded = {word.clause for word in words}
    bare = any(_low(t) in NEGATION and c not in worded for t, c in zip(found, clauses, strict=True))
    return Analysis(tuple(words), tuple(limits), len(found), max(clauses, default=0) + 1, terms, bare)


def join(analyses: Sequence[Analysis]) -> Analysis:
    """Return the analysis of consecutive sentences as one window."""
    words: list[Word] = []
    limits: list[tuple[str, int]] = []
    size = clauses = 0
    for number, one in enumerate(analyses):
        words += [
            replace(
                word,
                index=word.index + size,
                clause=word.clause + clauses,
                sentence=number,
                aside=word.aside and word.aside + size,
            )
            for word in one.words
        ]
        limits += [(cue, clause + clauses) for cue, clause in one.limits]
        size += one.size + 1
        clauses += one.clauses
    terms = frozenset[str]().union(*(one.terms for one in analyses))
    return Analysis(tuple(words), tuple(limits), size, clauses, terms, any(one.bare_negation for one in analyses))


def has_negation(text: str) -> bool:
    """True when any word of `text` negates."""
    return any(_low(token) in NEGATION for token in tokens(normalise(text)))


def _low(token: Token) -> str:
    return token.raw.lower().replace("\u2019", "'")


def _plain(text: str) -> str:
    text = normalise(text)
    text = re.sub(r"(?m)^[ \t]*(?:[-*+\u2022]|\(?\d{1,3}[.)])[ \t]+", "", text)
    text = re.sub(r"\[([^\]]*)\]\((?:[^)]*)\)", r"\1", text)
    text = re.sub(r"\[\d{1,2}\]", "", text)
    text = re.sub(r"\((?:see|cf\.?|e\.g\. see)\b[^()]*\)", "", text)
    text = _HAVE_TO.sub("must", text)
    return _ONE_UNIT.sub("1", re.sub(r"[*`\"]{1,3}", "", text))


def _clauses(text: str, found: list[Token]) -> list[int]:
    """Number the clause of each token: a mark or a word such as "but" opens a new one."""
    numbers: list[int] = []
    clause = last = 0
    for token in found:
        marked = _CLAUSE_BREAK.search(text[last : token.start + 1])
        if numbers and (marked or _low(token) in _CLAUSE_WORDS):
            clause += 1
        numbers.append(clause)
        last = token.end
    return numbers


def _asides(text: str, found: list[Token]) -> list[int]:
    """Number the bracket each token stands in; 0 outside of any."""
    numbers, depth, last, count = [], 0, 0, 0
    for token in found:
        for char in text[last : token.start]:
            if char == "(":
                depth, count = depth + 1, count + 1
            elif char == ")":
                depth = max(0, depth - 1)
        numbers.append(count if depth else 0)
        last = token.end
    return numbers


def _scopes(found: list[Token], clauses: list[int]) -> dict[int, tuple[bool, str]]:
    """Give each clause its negation and its modality, from the cues inside it."""
    scopes = {}
    for number in set(clauses):
        members = [_low(t) for t, c in zip(found, clauses, strict=True) if c == number]
        strengths = [MODAL[low] for low in members if low in MODAL]
        scopes[number] = (sum(low in NEGATION for low in members) % 2 == 1, strengths[0] if strengths else "")
    return scopes


def _kind(low: str, name: bool, token: Token) -> str:
    if re.fullmatch(r"[$]?\d[\d.,]*%?", low) or (low in _NUMBER_WORDS and not name):
        return "number"
    if low in CONDITIONS and not (name and token.raw.isupper()):
        return "condition"
    if low in NEGATION or (low in MODAL and not (name and low == "may")):
        return ""
    if low in LIMITS:
        return ""
    if re.search(r"[\d_/@=+*\\~]|[.:]\w|^-", low) and not re.fullmatch(r"[a-z]+-[a-z-]+", low):
        return "code"
    if name:
        return "name"
    return "" if is_stopword(token) else "term"


def _is_name(text: str, token: Token) -> bool:
    """True for capitals inside a sentence and for CamelCase or ALL CAPS anywhere."""
    raw = token.raw
    if len(raw) > 1 and (raw.isupper() or re.search(r"[a-z][A-Z]", raw)):
        return raw.lower() not in NEGATION and raw.lower() not in MODAL
    if not raw[:1].isupper() or raw == "I" or raw.startswith("I'"):
        return False
    before = text[: token.start].rstrip(" \t\"'(*`")
    return bool(before) and before[-1] not in ".!?:;\n\u3002\uff01\uff1f-"


def _form(token: Token, low: str, kind: str) -> str:
    if kind == "number":
        return _NUMBER_WORDS.get(low, low.replace(",", "").rstrip(".").strip("$"))
    if kind == "code":
        return low.rstrip("/.")
    return stem(low) if kind == "name" else token.form
