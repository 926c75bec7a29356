"""What a sentence asserts beyond its topic: figures, names, negation, modality, conditions.

`Analysis` is the form in which grounding.py compares a sentence with a window of a passage. Cues are short,
closed lists, written for English; a cue that is not listed is treated as a content word, which is the safe side.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from apps.assistant.text import Token, content_terms, is_stopword, normalise, parts, stem, tokens

NEGATION = frozenset(
    """
    not no never none nothing nobody nowhere neither nor without cannot can't won't don't doesn't didn't isn't
    aren't wasn't weren't shouldn't mustn't couldn't wouldn't hasn't haven't hadn't needn't mightn't unable
    impossible hardly lack lacks lacking fails fail
    """.split()
)

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
}  # fmt: skip

CONDITIONS = {
    "if": "if", "when": "if", "whenever": "if", "once": "if", "provided": "if", "unless": "unless",
    "until": "until", "till": "until", "except": "except", "before": "before", "after": "after",
    "while": "while", "because": "because", "since": "because", "instead": "instead", "although": "although",
    "though": "although", "without": "without", "during": "during", "otherwise": "otherwise",
    "besides": "except", "apart": "except", "but": "but", "however": "but", "whether": "whether",
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
_CLAUSE_WORDS = frozenset({"but", "and", "or", "which", "because", "so", "although", "though", "while", "however"})
_ONE_NUMBER = re.compile(r"\bone\b(?=\s+(?:day|week|month|year|hour|minute|second|time|percent|file|copy|page)s?\b)")


@dataclass(frozen=True)
class Word:
    """A word that carries meaning. `clause` counts the clauses; `modal` and `negated` are those of its clause."""

    form: str
    raw: str
    clause: int
    kind: str  # "term", "number", "name", "code", "condition"
    negated: bool
    modal: str


@dataclass(frozen=True)
class Analysis:
    """Everything about one sentence or window that has to agree. Tuples are in the order of the text."""

    words: tuple[Word, ...]
    limits: tuple[str, ...]
    conditions: tuple[str, ...]
    negations: int
    terms: frozenset[str]


def analyse(text: str) -> Analysis:
    """Return the analysis of `text`: one pass over its tokens, clause by clause."""
    text = _plain(text)
    found = tokens(text)
    clauses = _clauses(text, found)
    negated, modals = _scopes(found, clauses)
    words: list[Word] = []
    limits: list[str] = []
    conditions: list[str] = []
    for index, token in enumerate(found):
        low = token.raw.lower().replace("\u2019", "'")
        if low in LIMITS and not _is_name(text, token):
            limits.append(LIMITS[low])
        kind = _kind(text, token, low)
        if kind == "condition":
            conditions.append(CONDITIONS[low])
        if kind:
            form = CONDITIONS[low] if kind == "condition" else _form(token, low, kind)
            words.append(Word(form, token.raw, clauses[index], kind, negated[index], modals[index]))
    terms = frozenset(form for word in words for form in (word.form, *parts(word.form)))
    return Analysis(tuple(words), tuple(limits), tuple(conditions), sum(map(_negates, found)), terms)


def _plain(text: str) -> str:
    text = normalise(text)
    text = re.sub(r"(?m)^[ \t]*(?:[-*+\u2022]|\(?\d{1,3}[.)])[ \t]+", "", text)
    text = re.sub(r"\[([^\]]*)\]\((?:[^)]*)\)", r"\1", text)
    text = re.sub(r"\[\d{1,2}\]", "", text)
    return _ONE_NUMBER.sub("1", re.sub(r"[*`\"]{1,3}", "", text))


def _clauses(text: str, found: list[Token]) -> list[int]:
    """Number the clause of each token: punctuation and coordinating words start a new one."""
    numbers, clause, last = [], 0, 0
    for token in found:
        if token.start > last and _CLAUSE_BREAK.search(text[last : token.start + 1]) and numbers:
            clause += 1
        elif token.raw.lower() in _CLAUSE_WORDS and numbers:
            clause += 1
        numbers.append(clause)
        last = token.end
    return numbers


def _scopes(found: list[Token], clauses: list[int]) -> tuple[list[bool], list[str]]:
    """Give each token the negation and the modality in force: set by a cue, until its clause ends."""
    negated, modals = [], []
    for number in dict.fromkeys(clauses):
        members = [t for t, c in zip(found, clauses, strict=True) if c == number]
        odd = sum(map(_negates, members)) % 2 == 1
        strengths = [MODAL[t.raw.lower()] for t in members if t.raw.lower() in MODAL]
        negated += [odd] * len(members)
        modals += [strengths[0] if strengths else ""] * len(members)
    return negated, modals


def _negates(token: Token) -> bool:
    return token.raw.lower().replace("\u2019", "'") in NEGATION


def _kind(text: str, token: Token, low: str) -> str:
    if re.fullmatch(r"[$]?\d[\d.,]*%?", low) or low in _NUMBER_WORDS:
        return "number"
    if low in CONDITIONS:
        return "condition"
    if low in NEGATION or (low in MODAL and not _is_name(text, token)):
        return ""
    if low in LIMITS:
        return ""
    if re.search(r"[\d_/@=+*\\~]|[.:]\w|^-", low) and not re.fullmatch(r"[a-z]+-[a-z-]+", low):
        return "code"
    if _is_name(text, token):
        return "name"
    return "" if is_stopword(token) else "term"


def _is_name(text: str, token: Token) -> bool:
    """True for capitals inside a sentence and for CamelCase or ALL CAPS anywhere."""
    raw = token.raw
    if len(raw) > 1 and (raw.isupper() or re.search(r"[a-z][A-Z]", raw)):
        return not raw.isupper() or raw.lower() not in (*NEGATION, *MODAL)
    if not raw[:1].isupper() or raw == "I" or raw.startswith(("I'", "I\u2019")):
        return False
    before = text[: token.start].rstrip(" \t\"'(*`")
    return bool(before) and before[-1] not in ".!?:;\n\u3002\uff01\uff1f-"


def _form(token: Token, low: str, kind: str) -> str:
    if kind == "number":
        return _NUMBER_WORDS.get(low, low.replace(",", "").rstrip(".").strip("$"))
    if kind == "code":
        return low.rstrip("/.")
    return stem(low) if kind == "name" else token.form


def same_figure(first: Word, second: Word) -> bool:
    """True when two number words stand for the same figure."""
    return first.kind == second.kind == "number" and first.form == second.form


__all__ = ["Analysis", "Word", "analyse", "content_terms", "same_figure"]
