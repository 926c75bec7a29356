"""HTML: the text between block tags is a segment, inline tags are marks in it, everything else stays byte for byte."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from apps.translation.markup.layout import Layout
from apps.translation.markup.marks import Mark, Part, Parts, merged, said
from apps.translation.markup.protect import VOID, paired, tag_mark, tag_name

_TAG = re.compile(r"""<(?:/?[a-zA-Z](?:[^'"<>]++|"[^"]*+"|'[^']*+')*+|![^<>]*+|\?[^<>]*+)>""")
_SPACE = re.compile(r"[ \t\r\n\f]+")
_LETTER_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|nbsp|quot|apos|#38|#60|#62|#160|#x26|#x3[cCeE]|#x[aA]0);)#?\w{1,31};")
_NO_TRANSLATE = re.compile(
    r"""\btranslate\s*=\s*["']?no\b|\bclass\s*=\s*(?:"[^"]*\bnotranslate\b|'[^']*\bnotranslate\b)"""
)
# What encloses words of a sentence. All other tags end one.
_INLINE = frozenset(
    (
        *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "data", "del", "dfn", "em", "font", "i", "img"),
        *(
            "ins",
            "label",
            "mark",
            "q",
            "s",
            "small",
            "span",
            "strike",
            "strong",
            "sub",
            "sup",
            "time",
            "tt",
            "u",
            "wbr",
        ),
    )
)
_WORDS = frozenset({"code", "kbd", "samp", "var"})
_SKIPPED = frozenset({"script", "style", "pre", "textarea", "svg", "math", "template", "iframe", "object", "noscript"})
_RAW = frozenset({"script", "style", "textarea"})


class HtmlText(Layout):
    """An HTML document or fragment. Scripts, styles, code, comments and what says translate="no" stay as they are."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._parts: list[Part] = []
        tokens = list(_tokens(text))
        place = 0
        while place < len(tokens):
            kind, raw = tokens[place]
            if kind == "text":
                self._parts.append(raw)
            elif kind == "tag":
                place = self._tag(tokens, place)
                continue
            else:
                self._end()
                self.copy(raw)
            place += 1
        self._end()

    def written(self, translated: Sequence[Parts], finish: object = None) -> str:
        """Return the document; text that came out of a model cannot open a tag."""
        return super().written(translated, _written)

    def _tag(self, tokens: Sequence[tuple[str, str]], place: int) -> int:
        """Take a tag, with everything inside where that stays; return the place of what follows."""
        raw = tokens[place][1]
        name = tag_name(raw)
        opens = not raw.startswith("</") and not raw.endswith("/>") and name not in VOID
        if opens and (name in _SKIPPED or name in _WORDS or _NO_TRANSLATE.search(raw)):
            end = _closing(tokens, place, name)
            whole = "".join(text for _, text in tokens[place:end])
            if name in _WORDS or name in _INLINE:
                self._parts.append(Mark(whole))
            else:
                self._end()
                self.copy(whole)
            return end
        if name in _INLINE:
            self._parts.append(tag_mark(raw))
        else:
            self._end()
            self.copy(raw)
        return place + 1

    def _end(self) -> None:
        """End a segment."""
        parts, self._parts = merged(self._parts), []
        if not said(parts):
            self.copy("".join(part if isinstance(part, str) else part.raw for part in parts))
            return
        last = len(parts) - 1
        self.translate(
            paired([_collapsed(p, n == 0, n == last) if isinstance(p, str) else p for n, p in enumerate(parts)])
        )


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yield (text | tag | raw, source), whose concatenation is `text`. Takes time in proportion to its length."""
    place = begin = 0
    while (place := text.find("<", place)) >= 0:
        if text.startswith("<!--", place):
            end = text.find("-->", place)
            end = len(text) if end < 0 else end + 3
            kind = "raw"
        else:
            match = _TAG.match(text, place)
            if match is None:
                place += 1
                continue
            end, kind = match.end(), "tag" if text[place + 1] not in "!?" else "raw"
        if place > begin:
            yield "text", text[begin:place]
        yield kind, text[place:end]
        name = tag_name(text[place:end]) if kind == "tag" and text[place + 1] != "/" else ""
        if name in _RAW:
            found = re.compile(rf"</{name}\b", re.IGNORECASE).search(text, end)
            stop = found.start() if found else len(text)
            if stop > end:
                yield "raw", text[end:stop]
            end = stop
        place = begin = end
    if begin < len(text):
        yield "text", text[begin:]


def _closing(tokens: Sequence[tuple[str, str]], place: int, name: str) -> int:
    """Return the place after the tag that closes the one at `place`, or after the last token."""
    depth = 0
    for number in range(place, len(tokens)):
        kind, raw = tokens[number]
        if kind != "tag" or tag_name(raw) != name:
            continue
        depth += -1 if raw.startswith("</") else 0 if raw.endswith("/>") else 1
        if depth == 0:
            return number + 1
    return len(tokens)


def _collapsed(text: str, first: bool, last: bool) -> str:
    """Return text as browsers read it: white space inside is one space, letters written as entities are letters."""
    text = _LETTER_ENTITY.sub(lambda match: _letter(match.group()), text)
    head = text[: len(text) - len(text.lstrip(" \t\r\n\f"))] if first else ""
    tail = text[len(text.rstrip(" \t\r\n\f")) :] if last else ""
    inner = text[len(head) : len(text) - len(tail)] if len(head) < len(text) else ""
    return head + _SPACE.sub(" ", inner) + (tail if len(head) < len(text) else "")


def _letter(entity: str) -> str:
    character = html.unescape(entity)
    return character if len(character) == 1 and character.isalpha() else entity


def _written(before: Parts, after: Parts) -> str:
    own = "".join(part for part in before if isinstance(part, str))
    return "".join(
        part.raw if isinstance(part, Mark) else part if "<" in own else part.replace("<", "&lt;") for part in after
    )
