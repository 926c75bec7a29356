"""Words and sentences: what the bot's checks, quotes and decisions are made of.

Pure functions over text, deterministic and without models. Offsets are code points. English is handled in
depth; Chinese and Japanese sentences are split at their own punctuation and their characters count as terms.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import snowballstemmer

_STEMMER = snowballstemmer.stemmer("english")


def words(text: str) -> frozenset[str]:
    """Return the words of a list written as text."""
    return frozenset(text.split())


STOPWORDS = words("""
    a about above actually after again all also am an and any anyone anything are as at be because been before
    being below between both but by can cannot could did do does doing done down during each either else etc even
    ever every everyone few for from further get gets got had has have having he hello help her here hers hey hi
    him his how however i if in into is it its itself just kindly let like look many may maybe me might more most
    much must my myself need needed needs neither no nor not now of off ok okay on once one only onto or other our
    ours out over own per please quite rather really same shall she should since so some someone something still
    such tell than thank thanks that the their theirs them themselves then there therefore these they thing things
    this those though through thus to too under until up upon us use used using very want wants was way ways we
    well were what whatever when where whether which while who whom whose why will with within without would yet
    you your yours yourself
    able along already always another around among amongst across against away back ought anyway became become
    becomes came come comes going gone goes go went keep kept kind know known make makes made making mean means
""")

ABBREVIATIONS = words("""
    e.g i.e etc cf vs mr mrs ms dr prof sr jr st no nr fig figs sec ch vol pp ed eds al approx ca dept est inc ltd
    co corp resp incl excl min max jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun
    a.m p.m u.s u.k ph.d c.f w.r.t tel ext
""")

_TOKEN = re.compile(
    r"""https?://[^\s<>"'`]*[\w/]            # addresses of pages
      | [\w.+-]+@[\w-]+(?:\.[\w-]+)+         # mail
      | --?[A-Za-z][\w-]*                    # options
      | [~.]?/?[\w+*$~-]+(?:[./:@_+=*\\-]+[\w+*$-]+)+/?  # paths, hosts, versions, compounds
      | \$?\d+(?:[.,]\d+)*%?
      | [^\W\d_]+(?:['\u2019][^\W\d_]+)?
      | \w+
    """,
    re.VERBOSE,
)
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af]")
_LIST_ITEM = re.compile(r"[ \t]*(?:[-*+\u2022\u2013]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])[ \t]+")
_MAYBE_LIST_ITEM = re.compile(r"[ \t]*(?:[-*+\u2022\u2013]|\(?\d{0,3}[.)]?|\(?[a-zA-Z]?[.)]?)[ \t]*$")
_CLOSERS = "\"'\u201d\u2019)]}\u300d\u300f\uff09\u3011*_"
_CJK_END = "\u3002\uff01\uff1f\uff61"
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)


@dataclass(frozen=True)
class Sentence:
    """One sentence and where it stands: `text` is the source's [start, end), without outer white space."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Token:
    """A word as written, its comparison form and its place. `end` is exclusive."""

    raw: str
    form: str
    start: int
    end: int


def normalise(text: str) -> str:
    """Return `text` with one shape of quotes, dashes and spaces, so that copies compare equal."""
    text = unicodedata.normalize("NFKC", text)
    return re.sub(r"[\u2018\u2019\u201b]", "'", re.sub(r"[\u201c\u201d\u00ab\u00bb]", '"', text))


def fold(text: str) -> str:
    """Return a lower-case form without Markdown marks and with single spaces, for substring comparison."""
    text = re.sub(r"[*_`\"]+", "", normalise(text).lower())
    return re.sub(r"\s+", " ", text).strip(" .,:;!?-")


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """Return the Snowball English stem of a lower-case word; identifiers and numbers stay as they are."""
    if not word.isascii() or not word.replace("'", "").isalpha():
        return word
    return str(_STEMMER.stemWord(word.removesuffix("'s").replace("'", "")))


def tokens(text: str) -> list[Token]:
    """Return the words of `text` in order; each Chinese or Japanese character is a token of its own."""
    found = []
    for match in _TOKEN.finditer(text):
        raw = match.group()
        if _CJK.search(raw):
            found += [Token(c, c, match.start() + i, match.start() + i + 1) for i, c in enumerate(raw)]
            continue
        low = raw.lower().replace("\u2019", "'")
        found.append(Token(raw, stem(low), match.start(), match.end()))
    return found


def is_stopword(token: Token) -> bool:
    """True for words that carry grammar and no content."""
    low = token.raw.lower().replace("\u2019", "'")
    return low in STOPWORDS or low.split("'")[0] in STOPWORDS or (len(low) == 1 and low.isalpha() and low.isascii())


def content_terms(text: str) -> tuple[str, ...]:
    """Return the stems of the content words of `text`, in order, with repetitions."""
    return tuple(t.form for t in tokens(text) if not is_stopword(t))


def parts(form: str) -> tuple[str, ...]:
    """Return the words inside a compound (`knowledge-base`, `debian/rules`), stemmed; a plain word gives itself."""
    pieces = [p for p in re.split(r"[^\w]+|_", form) if p]
    return tuple(stem(p.lower()) for p in pieces) if len(pieces) > 1 else (form,)


def term_set(text: str) -> frozenset[str]:
    """Return every term of `text`, stop words included, compounds also by their parts: what it can be found by."""
    terms: set[str] = set()
    for token in tokens(text):
        terms.add(token.form)
        terms.update(parts(token.form))
    return frozenset(terms)


def is_list_item(line: str) -> bool:
    """True when the line starts with a bullet or a number that makes it an item of a list."""
    return bool(_LIST_ITEM.match(line))


def sentences(text: str) -> list[Sentence]:
    """Split a whole text into sentences. List items, headings and code blocks are sentences of their own."""
    buffer = SentenceBuffer()
    return buffer.feed(text) + buffer.flush()


def passage_sentences(text: str) -> list[Sentence]:
    """Split the text of a passage, in which every line is a paragraph, an item, a table row or a line of code."""
    found: list[Sentence] = []
    start = 0
    for line in text.split("\n"):
        found += [Sentence(s.text, start + s.start, start + s.end) for s in sentences(line)]
        start += len(line) + 1
    return found


class SentenceBuffer:
    """Cut a stream of pieces into sentences; the result does not depend on how the stream was cut into pieces.

    A sentence is given out when what follows shows that it has ended, so one word of look-ahead is held back.
    """

    def __init__(self) -> None:
        self._text = ""
        self._base = 0

    def feed(self, piece: str) -> list[Sentence]:
        """Take the next piece of the stream; return the sentences completed by it."""
        self._text += piece
        return list(self._take(final=False))

    def flush(self) -> list[Sentence]:
        """End the stream; return what was held back."""
        return list(self._take(final=True))

    def _take(self, *, final: bool) -> Iterator[Sentence]:
        while True:
            end = _first_end(self._text, final=final)
            if end is None:
                break
            raw = self._text[:end]
            inner = raw.strip()
            start = self._base + len(raw) - len(raw.lstrip())
            self._text, self._base = self._text[end:], self._base + end
            if inner:
                yield Sentence(inner, start, start + len(inner))
            elif not self._text:
                break


def _first_end(text: str, *, final: bool) -> int | None:
    """Return the offset after the first complete sentence, or None when more text is needed."""
    lead = len(text) - len(text.lstrip())
    if lead == len(text):
        return len(text) if final and text else None
    fence = _FENCE.match(text, text.rfind("\n", 0, lead) + 1)
    if fence:
        return _fence_end(text, fence.end(), final=final)
    item = _LIST_ITEM.match(text, lead)
    position = item.end() if item else lead
    code = False
    while position < len(text):
        char = text[position]
        if char == "`":
            code = not code
        if char == "\n":
            code = False
            verdict = _line_ends(text, lead, position, final=final)
        elif not code and (char in ".!?" or char in _CJK_END):
            verdict = _stop_ends(text, position, final=final)
        else:
            position += 1
            continue
        if verdict is None:
            return None
        if verdict > 0:
            return verdict
        position += 1
    return len(text) if final else None


def _fence_end(text: str, start: int, *, final: bool) -> int | None:
    """Return where a fenced block that opened before `start` ends, or None when it is still open."""
    close = _FENCE.search(text, start)
    if close:
        line = text.find("\n", close.end())
        if line >= 0 or final:
            return line if line >= 0 else len(text)
        return None
    return len(text) if final else None


def _line_ends(text: str, lead: int, position: int, *, final: bool) -> int | None:
    """Decide whether the line break at `position` ends a sentence: its end, -1 for no, None for not known yet."""
    rest = text[position + 1 :]
    if not final and ((not rest.strip() and "\n" not in rest) or _MAYBE_LIST_ITEM.fullmatch(rest)):
        return None
    line = rest.split("\n", 1)[0]
    before = text[lead:position].rstrip()
    if not line.strip() or _LIST_ITEM.match(rest) or _FENCE.match(rest) or line.lstrip().startswith(("#", "|", ">")):
        return position
    own = text[text.rfind("\n", 0, position) + 1 : position]
    if own.startswith(("    ", "\t")) != line.startswith(("    ", "\t")) or before.startswith("#"):
        return position
    return position if before.endswith((".", ":", "!", "?", ";")) else -1


def _stop_ends(text: str, position: int, *, final: bool) -> int | None:
    """Decide whether the mark at `position` ends a sentence: its end, -1 for no, None for not known yet."""
    end = position + 1
    while end < len(text) and (text[end] in ".!?" or text[end] in _CJK_END or text[end] in _CLOSERS):
        end += 1
    if end == len(text):
        return end if final else None
    if text[position] in _CJK_END or text[end - 1] in _CJK_END:
        return end
    if not text[end].isspace():
        return -1
    after = text[end:].lstrip()
    if not after and not final:
        return None
    if text[position] != ".":
        return end
    word = re.search(r"[^\s(\"'\u201c\u2018\[]*$", text[:position])
    last = (word.group() if word else "").lower()
    if "\n" in text[end : len(text) - len(after)]:
        return end
    if last in ABBREVIATIONS:
        return end if last == "etc" and after[:1].isupper() else -1
    return -1 if len(last) == 1 and last.isalpha() else end
