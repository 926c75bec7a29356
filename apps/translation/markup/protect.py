"""Finds what a translation must leave as it is: placeholders, addresses, code, tags, signs, and the terms of a glossary."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from apps.translation.markup.marks import Mark, Part, Parts, merged

# Every repetition is bounded or possessive: a line of a megabyte takes no longer than its length.
_PLACEHOLDER = r"""
    \{\{[^{}]{0,120}\}\} | \{%[^{}]{0,200}%\} | \$\{[^{}]{1,120}\} | [%\#]\{\w{1,60}\} |
    \{\w{1,60},\s?(?:plural|select|selectordinal),(?:[^{}]|\{[^{}]{0,500}\}){0,500}\} |
    \{\w{0,60}(?:[.\[!:,][\w.\[\]!:<>=^+,%\ -]{0,60})?\} |
    %\(\w{1,60}\)[-\#0+]{0,3}\d{0,3}(?:\.\d{1,3})?[a-zA-Z] |
    (?<![\d%])%(?:\d{1,2}\$)?[-\#0+]{0,3}\d{0,3}(?:\.\d{1,3})?(?:hh|h|ll|l|z)?[diouxXeEfFgGcsp@](?![a-zA-Z]) | %% |
    \$[A-Z_][A-Z0-9_]{1,60}\b | \b__\w{1,60}__\b
"""
_ADDRESS = r"""
    \b(?:https?|ftp|wss?)://[^\s<>"'`|{}\\^]{1,2000} | \bwww\.[^\s<>"'`|{}\\^]{1,500} |
    (?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5} | (?<![\w@])@\w{2,60} |
    (?<![\w.-])(?:[a-z0-9-]{1,63}\.){1,5}(?:com|org|net|io|dev|gov|edu|app)(?:\.[a-z]{2})?\b(?:/[^\s<>"'`]{0,500})? |
    (?<![\w/.])(?:~|\.{1,2})?(?:/[\w.-]{1,100}){2,20}/?
"""
_CODE = r"`[^`\n]{1,500}`"
# Names of things: an order AB-1234, a model X200.
_IDENTIFIER = r"(?<![\w-])(?=[A-Z0-9-]{0,40}\d)(?=[A-Z0-9-]{0,40}[A-Z])[A-Z0-9][A-Z0-9-]{2,40}(?![\w-])"
_ENTITY = r"&(?:[a-zA-Z][a-zA-Z0-9]{1,31}|\#\d{1,7}|\#x[0-9a-fA-F]{1,6});"
_TAG = r"""</?[a-zA-Z](?:[^'"<>]++|"[^"]*+"|'[^']*+')*+>"""
# Signs that models drop or turn into letters, with what joins and colours them; and characters of private use.
_SIGN = (
    "[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u2190-\u21ff\u2300-\u23ff\ue000-\uf8ff]"
    "[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\ufe0f\u200d\u20e3\U000e0020-\U000e007f]{0,40}"
)
_SYMBOL = r"(?<=\s)[<>=≤≥±×÷≈→|](?=\s)"
_PATTERN = re.compile(
    f"(?P<symbol>{_SYMBOL})|"
    f"(?P<tag>{_TAG})|(?P<address>{_ADDRESS})|(?P<code>{_CODE})|(?P<placeholder>{_PLACEHOLDER})|"
    f"(?P<entity>{_ENTITY})|(?P<identifier>{_IDENTIFIER})|(?P<sign>{_SIGN})",
    re.VERBOSE,
)
_TRAILING = ".,;:!?)]}»”’'\""
_TAG_NAME = re.compile(r"</?([a-zA-Z][^\s/>]*)")
# Elements without an end.
VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})


_WORD_START = re.compile(r"(?<!\w)\S")
_WORD = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class Term:
    """A term of a glossary and what it is called in the target language."""

    term: str
    translation: str
    case_sensitive: bool = False


class Glossary:
    """Terms of one pair of languages, ready to be found in texts: the longest first, whole words only.

    They are looked up by how they begin: 5,000 of them in 200,000 characters take a tenth of a second.
    """

    def __init__(self, terms: Sequence[Term]) -> None:
        self._by_start: dict[str, list[Term]] = {}
        for term in sorted(terms, key=lambda one: (-len(one.term), not one.case_sensitive)):
            self._by_start.setdefault(term.term[:2].casefold(), []).append(term)

    def marked(self, text: str) -> list[Part]:
        """Return `text` with its terms as marks that already carry their translation."""
        parts: list[Part] = []
        begin = 0
        for match in _WORD_START.finditer(text) if self._by_start else ():
            place = match.start()
            term = self._term_at(text, place) if place >= begin else None
            if term is not None:
                found = text[place : place + len(term.term)]
                parts += [text[begin:place], Mark(_cased(term, found), term=found)]
                begin = place + len(found)
        return [*parts, text[begin:]]

    def _term_at(self, text: str, place: int) -> Term | None:
        start = text[place : place + 2].casefold()
        for term in (*self._by_start.get(start, ()), *self._by_start.get(start[:1], ())):
            end = place + len(term.term)
            found = text[place:end]
            same = found == term.term if term.case_sensitive else found.casefold() == term.term.casefold()
            if same and not (end < len(text) and _WORD.match(text[end]) and _WORD.match(text[end - 1])):
                return term
        return None


def _cased(term: Term, found: str) -> str:
    """Return the translation, with a capital where the term has got one."""
    if not term.case_sensitive and found[0].isupper() and not found.isupper() and not term.term[0].isupper():
        return term.translation[0].upper() + term.translation[1:]
    return term.translation


def protected(parts: Iterable[Part], glossary: Glossary | None = None) -> Parts:
    """Return the parts with everything that must stay as marks, and the terms of the glossary as their translations."""
    out: list[Part] = []
    for part in parts:
        out += [part] if isinstance(part, Mark) else _marked(part)
    paired = _paired(out)
    if glossary is None:
        return merged(paired)
    return merged(piece for part in paired for piece in ([part] if isinstance(part, Mark) else glossary.marked(part)))


def _marked(text: str) -> list[Part]:
    parts: list[Part] = []
    begin = 0
    for match in _PATTERN.finditer(text):
        if match.start() < begin:
            continue
        raw, kind = match.group(), match.lastgroup
        if kind == "address":
            raw = raw.rstrip(_TRAILING) or raw
        mark = tag_mark(raw) if kind == "tag" else Mark(raw, "single" if kind == "sign" else "word")
        parts += [text[begin : match.start()], mark]
        begin = match.start() + len(raw)
    return [*parts, text[begin:]]


def tag_name(raw: str) -> str:
    """Return the name of a tag in lower case."""
    found = _TAG_NAME.match(raw)
    return found[1].lower() if found else ""


def tag_mark(raw: str) -> Mark:
    """Return the mark of one tag; its partner is not known yet."""
    if raw.startswith("</"):
        return Mark(raw, "close")
    return Mark(raw, "single" if raw.endswith("/>") or tag_name(raw) in VOID else "open")


def _paired(parts: Sequence[Part]) -> list[Part]:
    """Return the parts with tags joined to their partners; what has none is single. Pairs of other makers are left alone."""
    out = list(parts)
    taken = [part.pair for part in parts if isinstance(part, Mark)]
    following = max(taken, default=0) + 1
    stack: list[int] = []
    for place, part in enumerate(parts):
        if not isinstance(part, Mark) or part.pair or part.kind not in ("open", "close"):
            continue
        out[place] = Mark(part.raw, "single")
        if part.kind == "open":
            stack.append(place)
            continue
        name = tag_name(part.raw)
        while stack:
            begin = stack.pop()
            opening = parts[begin]
            if isinstance(opening, Mark) and tag_name(opening.raw) == name:
                out[begin] = Mark(opening.raw, "open", following)
                out[place] = Mark(part.raw, "close", following)
                following += 1
                break
    return out


def paired(parts: Sequence[Part]) -> Parts:
    """Return the parts with each opening tag joined to its closing one."""
    return tuple(_paired(parts))
