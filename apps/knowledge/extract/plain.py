"""Plain text to blocks: paragraphs, list items and underlined headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

from apps.documents.errors import ExtractError
from apps.knowledge.extract.clean import clean_line, slugify
from apps.knowledge.extract.types import MAX_TEXT_CHARS, Block, Extracted

_BULLET = re.compile(r"^(\s{0,12})(?:[-*•·]|\d{1,3}[.)])\s+(?=\S)")
_RULE = re.compile(r"^([=\-~^#*])\1{2,}$")


def extract_plain(text: str, *, name: str = "") -> Extracted:
    """Return the document in `text`.

    A line underlined with `===` or `---` (as long as the line, more or less) is a heading of level 1 or 2.
    The title is the only level 1 heading, else the file name without its extension.
    """
    if len(text) > MAX_TEXT_CHARS:
        raise ExtractError("too_large", "The document has too much text.")
    blocks: list[Block] = []
    used: dict[str, int] = {}
    anchor = ""
    for kind, level, content in _pieces(text):
        cleaned = clean_line(content)
        if not cleaned:
            continue
        if kind == "heading":
            anchor = slugify(cleaned, used)
            blocks.append(Block("heading", cleaned[:300], level, anchor))
        elif kind == "item":
            blocks.append(Block("item", cleaned.replace("\n", " "), level, anchor))
        else:
            blocks.append(Block("text", cleaned.replace("\n", " "), 0, anchor))
    top = [b.text for b in blocks if b.kind == "heading" and b.level == 1]
    title = top[0] if len(top) == 1 else clean_line(PurePath(name).stem)
    return Extracted(title=title[:300], blocks=tuple(blocks), format="text")


def _pieces(text: str) -> Iterator[tuple[str, int, str]]:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").split("\n")
    paragraph: list[str] = []
    kind: tuple[str, int] = ("text", 0)
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        stripped = line.strip()
        bullet = _BULLET.match(line)
        rule = _RULE.match(stripped)
        if rule and len(paragraph) == 1 and kind[0] == "text" and len(stripped) >= len(paragraph[0]) * 0.7:
            yield "heading", 1 if rule[1] == "=" else 2, paragraph.pop()
            continue
        starts_heading = bool(_RULE.match(following.strip())) and len(following.strip()) >= len(stripped) * 0.7
        if (not stripped or rule or bullet or starts_heading) and paragraph:
            yield *kind, "\n".join(paragraph)
            paragraph, kind = [], ("text", 0)
        if bullet:
            kind = ("item", 1 + len(bullet[1]) // 2)
            paragraph.append(line[bullet.end() :])
        elif stripped and not rule:
            paragraph.append(stripped)
    if paragraph:
        yield *kind, "\n".join(paragraph)
