"""Words of a text as terms that a B-tree finds by their beginning: one analyser for what is written and for what is asked.

Upper case, accents and the width of letters do not matter. Where words are not set apart by spaces (Chinese, Japanese,
Korean, Thai, Lao, Burmese, Khmer) the terms are all pairs of neighbouring characters, so a part of a word is found too.
Pure, no Django.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

# More of a word tells nothing: two that begin with the same 40 characters count as one.
MAX_TERM_CHARS = 40
# A query of more words is one that somebody pasted; the first ones find it.
MAX_QUERY_WORDS = 32
# In a word of letters and digits ("INV20231") a number of so many digits is found by itself.
MIN_DIGITS = 3

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
# Vowel signs of Indian scripts are no letters to `\w`, but belong to their words.
_INDIC = "\u0900-\u0963\u0966-\u0dff"
_PICTURE = "\u2600-\u27bf\U0001f300-\U0001faff"
_RUN = re.compile(rf"[{_UNSPACED}]+|(?:[^\W_{_UNSPACED}]|[{_INDIC}])+|[{_PICTURE}]")
_UNSPACED_START = re.compile(rf"[{_UNSPACED}]")
_PICTURE_START = re.compile(rf"[{_PICTURE}]")
_DIGITS = re.compile(rf"[0-9]{{{MIN_DIGITS},}}")
# Accents of Latin, Greek and Cyrillic, points of Hebrew and Arabic, the Arabic stretch. Others are part of their letter.
_ACCENTS = re.compile("[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0640\u064b-\u065f\u0670]")
# Letters that Unicode does not take apart, as people without that key write them.
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ı": "i", "ħ": "h", "æ": "ae", "œ": "oe", "þ": "th"})
LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A term that a text must have: the term itself, or with `beginning` any that begins with it."""

    term: str
    beginning: bool


def folded(text: str) -> str:
    """Return the text without what does not matter: case, accents, width, marks of compatibility."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFC", _ACCENTS.sub("", apart)).translate(_LETTERS)


def terms(text: str) -> set[str]:
    """Return the distinct terms of a text; at most one for each of its characters, mostly one for six."""
    return set(_terms(text))


def _terms(text: str) -> Iterator[str]:
    for match in _RUN.finditer(folded(text)):
        run = match[0]
        if _UNSPACED_START.match(run):
            # The last one is a single character: whoever asks for that one finds all pairs that begin with it, and it.
            yield from (run[at : at + 2] for at in range(len(run)))
            continue
        yield run[:MAX_TERM_CHARS]
        if not run.isdigit():
            yield from (number[0][:MAX_TERM_CHARS] for number in _DIGITS.finditer(run))


def wanted(query: str) -> list[Wanted]:
    """Return the terms that a text must have for `query` to be found in it, all of them; [] for a query without words."""
    found: dict[Wanted, None] = {}
    for match in _RUN.finditer(folded(query)):
        run = match[0]
        if _UNSPACED_START.match(run) and len(run) > 1:
            found |= dict.fromkeys(Wanted(run[at : at + 2], False) for at in range(len(run) - 1))
        else:
            found[Wanted(run[:MAX_TERM_CHARS], not _PICTURE_START.match(run))] = None
        if len(found) >= MAX_QUERY_WORDS:
            break
    return list(found)[:MAX_QUERY_WORDS]
