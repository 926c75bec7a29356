"""Markdown: paragraphs, headings, items and cells are segments; marks of emphasis, links and code stay."""

from __future__ import annotations

import re

from apps.translation.markup.html import HtmlText
from apps.translation.markup.layout import Layout
from apps.translation.markup.marks import Mark, Part, Parts, merged, said
from apps.translation.markup.protect import paired, tag_mark

_FENCE = re.compile(r"[ >\t]{0,40}(`{3,}|~{3,})")
_PREFIX = re.compile(
    r"[ \t]{0,40}(?:>[ \t]?){0,20}[ \t]{0,20}(?:(?:[-*+]|\d{1,9}[.)])[ \t]{1,8}(?:\[[ xX]\][ \t])?)?(?:#{1,6}[ \t]+)?"
)
_RULE = re.compile(r"[ \t]{0,3}(?:(?:-[ \t]*){3,200}|(?:\*[ \t]*){3,200}|(?:_[ \t]*){3,200}|=+[ \t]*)$")
_DEFINITION = re.compile(r"[ \t]{0,3}\[[^\]]{1,200}\]:\s")
_TABLE_RULE = re.compile(r"[ \t]{0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_CELL_END = re.compile(r"(?<!\\)\|")
_INDENTED = re.compile(r"(?: {4}|\t)")
_INLINE = re.compile(
    r"""(?P<code>(?P<ticks>`{1,6})(?!`)[^\n]{1,1000}?(?<!`)(?P=ticks)(?!`))|(?P<image>!\[[^\]\n]{0,300}\]\([^()\n]{0,1000}\))|"""
    r"""(?P<link>\]\([^()\s]{0,1000}(?:\([^()\s]{0,200}\)[^()\s]{0,200})?(?:[ ]"[^"\n]{0,300}")?\)|\]\[[^\]\n]{0,200}\])|"""
    r"""(?P<open>\[(?!\^|[ xX]\]))|(?P<note>\[\^[^\]\n]{1,100}\])|(?P<auto><(?:https?|mailto):[^<>\s]{1,1000}>)|"""
    r"""(?P<tag></?[a-zA-Z](?:[^'"<>]++|"[^"]*+"|'[^']*+')*+>)|(?P<escape>\\[!-/:-@\[-`{-~])|"""
    r"""(?P<stress>\*\*\*|\*\*|~~|__|\*|(?<!\w)_|_(?!\w))"""
)


class MarkdownText(Layout):
    """A Markdown document. Code, front matter, rules, targets of links and HTML blocks' tags stay as they are."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._lines = text.splitlines(keepends=True)
        self._table = False
        place = self._front_matter()
        while place < len(self._lines):
            place = self._block(place)

    def _front_matter(self) -> int:
        if not self._lines or self._lines[0].strip() != "---":
            return 0
        for place, line in enumerate(self._lines[1:200], 1):
            if line.strip() in ("---", "..."):
                self.copy("".join(self._lines[: place + 1]))
                return place + 1
        return 0

    def _block(self, place: int) -> int:
        """Take what begins at a line; return the place of what follows."""
        line = self._lines[place]
        fence = _FENCE.match(line)
        if fence:
            return self._copied(place, self._fence_end(place, fence[1]))
        if not line.strip():
            self._table = False
            return self._copied(place, place + 1)
        before_blank = place == 0 or not self._lines[place - 1].strip()
        if _INDENTED.match(line) and before_blank and not _prefix(line).strip():
            return self._copied(place, place + 1)
        following = self._lines[place + 1] if place + 1 < len(self._lines) else ""
        if "|" in line and (self._table or ("|" in following and _TABLE_RULE.match(following))):
            self._table = True
            self._row(line)
            return place + 1
        if _RULE.match(line) or _DEFINITION.match(line):
            return self._copied(place, place + 1)
        if line.lstrip().startswith("<") and not line.lstrip().startswith(("<http", "<mailto")):
            return self._html(place)
        return self._paragraph(place)

    def _copied(self, begin: int, end: int) -> int:
        self.copy("".join(self._lines[begin:end]))
        return end

    def _fence_end(self, place: int, fence: str) -> int:
        for number in range(place + 1, len(self._lines)):
            bare = self._lines[number].lstrip(" >\t").rstrip()
            if bare.startswith(fence) and not bare.strip(fence[0]):
                return number + 1
        return len(self._lines)

    def _html(self, place: int) -> int:
        """Take an HTML block, which ends at an empty line, by the rules of HTML."""
        end = place
        while end < len(self._lines) and self._lines[end].strip():
            end += 1
        inner = HtmlText("".join(self._lines[place:end]))
        self.join(inner)
        return end

    def _row(self, line: str) -> None:
        begin = 0
        if _TABLE_RULE.match(line):
            self.copy(line)
            return
        for match in [*_CELL_END.finditer(line), None]:
            end = match.start() if match else len(line)
            self._inline(line[begin:end])
            if match:
                self.copy("|")
                begin = match.end()

    def _paragraph(self, place: int) -> int:
        """Take a line and those that go on with its paragraph: they are read as one."""
        first = self._lines[place]
        prefix = _prefix(first)
        quote = prefix.count(">")
        texts = [first[len(prefix) :]]
        end = place + 1
        heading = "#" in prefix
        while not heading and end < len(self._lines) and not _breaks(texts[-1]) and self._goes_on(end, quote):
            texts.append(self._lines[end].removeprefix(_prefix(self._lines[end])))
            end += 1
        self.copy(prefix)
        self._inline(" ".join(text.strip() for text in texts[:-1]) + (" " if texts[1:] else "") + texts[-1])
        return end

    def _goes_on(self, place: int, quote: int) -> bool:
        line = self._lines[place]
        prefix = _prefix(line)
        following = self._lines[place + 1] if place + 1 < len(self._lines) else ""
        starts = bool(prefix.replace(">", "").strip()) or prefix.count(">") != quote
        rule = _RULE.match(line[len(prefix) :]) or _DEFINITION.match(line) or _FENCE.match(line)
        table = "|" in line and "|" in following and _TABLE_RULE.match(following)
        html = line.lstrip().startswith("<") and not re.match(r"\s*</?(?:a|b|em|i|strong|code|kbd|span|br)\b", line)
        return bool(line[len(prefix) :].strip()) and not (starts or rule or table or html)

    def _inline(self, text: str) -> None:
        bare = text.strip()
        begin = text.find(bare)
        parts = inline_marked(bare)
        self.copy(text[:begin])
        if said(parts):
            self.translate(parts)
        else:
            self.copy(bare)
        self.copy(text[begin + len(bare) :])

    def join(self, inner: HtmlText) -> None:
        """Add the pieces of an HTML block."""
        for piece in inner.pieces():
            if isinstance(piece, str):
                self.copy(piece)
            else:
                self.translate(piece)


def _breaks(text: str) -> bool:
    """Return whether a line ends with a break that the author wants."""
    bare = text.rstrip("\r\n")
    return bare.endswith(("  ", "\\"))


def inline_marked(text: str) -> Parts:
    """Return a line of Markdown with what is not words as marks; stress and links enclose, where they have both ends."""
    parts: list[Part] = []
    opened: list[tuple[str, int]] = []
    begin, pair = 0, 1_000
    for match in _INLINE.finditer(text):
        raw, kind = match.group(), match.lastgroup
        kind = "code" if match["code"] else kind
        mark = Mark(raw, "single")
        if kind in ("code", "image", "auto"):
            mark = Mark(raw)
        elif kind == "tag":
            mark = tag_mark(raw)
        parts.append(text[begin : match.start()])
        if kind == "open" or (kind == "stress" and _opening(text, match, [one for one, _ in opened])):
            opened.append((raw, len(parts)))
        elif kind in ("link", "stress"):
            wanted = "[" if kind == "link" else raw
            while opened:
                name, place = opened.pop()
                if name == wanted:
                    pair += 1
                    parts[place], mark = Mark(name, "open", pair), Mark(raw, "close", pair)
                    break
        parts.append(mark)
        begin = match.end()
    return paired(merged([*parts, text[begin:]]))


def _opening(text: str, match: re.Match[str], opened: list[str]) -> bool:
    """Return whether a mark of stress begins one: it touches the word after it, and none of its kind is open."""
    after = text[match.end() : match.end() + 1]
    return match.group() not in opened and bool(after) and not after.isspace()


def _prefix(line: str) -> str:
    """Return what stands before a line's words: quotation marks, a bullet, the signs of a heading; often nothing."""
    found = _PREFIX.match(line)
    return found[0] if found else ""
