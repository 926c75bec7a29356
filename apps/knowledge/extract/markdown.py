"""Markdown to blocks: rendered to HTML with GitHub's heading anchors, then read by the HTML extractor."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from apps.knowledge.extract.clean import clean_line, slugify
from apps.knowledge.extract.html import extract_html_text
from apps.knowledge.extract.types import Extracted

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.{0,20000}?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*([^\n]{1,300})$", re.MULTILINE)
_OWN_ANCHOR = re.compile(r"<a[^>]{0,200}?\s(?:id|name)\s*=|\{#([\w-]{1,100})\}\s*$", re.IGNORECASE)


def extract_markdown(text: str) -> Extracted:
    """Return the document in `text`; a `title:` in YAML front matter names it when no single level 1 heading does."""
    front = _FRONT_MATTER.match(text)
    title = ""
    if front:
        text = text[front.end() :]
        if named := _FRONT_TITLE.search(front[1]):
            title = clean_line(named[1].strip().strip("'\""))
    # nesting is bounded by the parser (maxNesting 20); linkify and typographer stay off, so nothing is rewritten
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = parser.parse(text)
    _name_headings(tokens)
    document = extract_html_text(
        parser.renderer.render(tokens, parser.options, {}), format_="markdown", boilerplate=False
    )
    if title and not any(b.kind == "heading" and b.level == 1 for b in document.blocks):
        return Extracted(title=title, blocks=document.blocks, format="markdown", flags=document.flags)
    return document


def _name_headings(tokens: Sequence[Token]) -> None:
    used: dict[str, int] = {}
    for opening, inline in itertools.pairwise(tokens):
        if opening.type != "heading_open":
            continue
        own = _OWN_ANCHOR.search(inline.content)
        if own and own[1]:
            opening.attrSet("id", own[1])
            _cut_attribute(inline, own.group(0))
        elif not own:
            words = "".join(t.content for t in inline.children or () if t.type in ("text", "code_inline"))
            opening.attrSet("id", slugify(words, used))


def _cut_attribute(inline: Token, written: str) -> None:
    for child in reversed(inline.children or ()):
        if child.type == "text" and child.content.rstrip().endswith(written.strip()):
            child.content = child.content.rstrip()[: -len(written.strip())].rstrip()
            return
