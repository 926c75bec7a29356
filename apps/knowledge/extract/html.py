"""HTML to blocks: content without navigation, scripts and hidden text; every block knows its anchor."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree, html

from apps.documents.errors import ExtractError
from apps.knowledge.extract import html_rules as rules
from apps.knowledge.extract.clean import clean_code, clean_line
from apps.knowledge.extract.sniff import decode
from apps.knowledge.extract.types import MAX_BLOCKS, MAX_TEXT_CHARS, Block, BlockKind, Extracted

_MAX_DEPTH = 150
"""Elements nested deeper are read as plain text: real pages stay under 60, and the walk is recursive."""


def extract_html(data: bytes, *, charset: str = "") -> Extracted:
    """Return the document in `data`. `charset` is the one the server declared, if any."""
    return extract_html_text(decode(data, declared=charset, html=True))


def extract_html_text(text: str, *, format_: str = "html", boilerplate: bool = True) -> Extracted:
    """Return the document in `text`.

    With `boilerplate` false nothing is taken for page furniture (Markdown has none).
    A page that consists of nothing but links is kept whole.
    """
    # Bytes with a stated encoding: lxml refuses str with an XML declaration. huge_tree: without it, content nested
    # deeper than 256 elements is dropped without a word (with it, 2,048). Memory is bounded from outside.
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True, huge_tree=True)
    try:
        tree = html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError):
        return Extracted(title="", blocks=(), format=format_)
    walker = _Walker(furniture=boilerplate)
    walker.walk(rules.main_element(tree) if boilerplate else tree)
    if boilerplate and not walker.has_text:
        walker = _Walker(furniture=False, flags=walker.flags)
        walker.walk(tree)
    title = _title(tree, walker.blocks)
    return Extracted(title=title, blocks=tuple(walker.blocks), format=format_, flags=tuple(sorted(walker.flags)))


def _title(tree: html.HtmlElement, blocks: list[Block]) -> str:
    top = [block.text for block in blocks if block.kind == "heading" and block.level == 1]
    if len(top) == 1:
        return top[0][:300]
    named = tree.findtext(".//title") or ""
    headings = (block.text for block in blocks if block.kind == "heading")
    return (clean_line(named).replace("\n", " ") or next(headings, ""))[:300]


class _Walker:
    """One pass over the tree.

    An anchor is, from near to far: the id of a container opened since the last heading, the anchor of that heading,
    the anchors of the headings above it, the id of the nearest open container. The anchor of a heading is its own id,
    the id or name of an `a` inside it, of the section it opens, of an empty `a` just before it.
    """

    def __init__(self, *, furniture: bool, flags: set[str] | None = None) -> None:
        self.blocks: list[Block] = []
        self.flags: set[str] = flags or set()
        self.has_text = False
        self._furniture = furniture
        self._buffer: list[str] = []
        self._kind: tuple[BlockKind, int] = ("text", 0)
        self._bullets: list[bool] = []
        self._containers: list[tuple[str, int]] = []  # id, number of headings seen when it was opened
        self._headings: list[tuple[int, str]] = []  # level, anchor
        self._heading_count = 0
        self._pending_anchor = ""
        self._in_content = 0
        self._total_chars = 0

    def walk(self, root: html.HtmlElement) -> None:
        self._element(root, 0)
        self._flush()

    def _element(self, node: Any, depth: int) -> None:
        tag = node.tag if isinstance(node.tag, str) else ""
        if not tag or self._skipped(node, tag):
            return
        if depth > _MAX_DEPTH:
            self._buffer.append(" ".join(node.itertext()))
        elif tag in rules.HEADINGS:
            self._heading(node, int(tag[1]))
        elif tag == "pre":
            self._flush()
            self._emit("code", clean_code(rules.visible_text(node)), 0)
        elif tag == "table" and not rules.is_layout_table(node):
            self._flush()
            for row in rules.table_rows(node):
                self._emit("row", clean_line(row), 0)
        elif tag in rules.BLOCKS:
            self._container(node, tag, depth)
        else:
            self._inline(node, tag, depth)

    def _skipped(self, node: Any, tag: str) -> bool:
        if tag in rules.NEVER:
            return True
        if rules.is_hidden(node):
            if rules.has_words(node):
                self.flags.add("hidden_text")
            return True
        if not self._furniture:
            return rules.is_permalink(node)
        return rules.is_furniture(node, tag, inside_content=self._in_content > 0)

    def _inline(self, node: Any, tag: str, depth: int) -> None:
        if tag == "br":
            self._buffer.append("\n")
        elif tag == "a" and not (node.text or len(node)):
            self._pending_anchor = rules.own_anchor(node) or self._pending_anchor
        self._children(node, depth)

    def _container(self, node: Any, tag: str, depth: int) -> None:
        self._flush()
        anchor = str(node.get("id") or "").strip() if tag in rules.SECTIONING else ""
        section = rules.is_section(node, tag)
        headings = list(self._headings)
        outer_kind, self._in_content = self._kind, self._in_content + (tag in rules.CONTENT_TAGS)
        if anchor:
            self._containers.append((anchor, self._heading_count))
        if tag == "li":
            self._bullets.append(True)
        if tag in ("li", "dt", "p", "dd"):
            self._kind = ("item", len(self._bullets)) if self._bullets else ("text", 0)
        self._children(node, depth)
        self._flush()
        if tag == "li":
            self._bullets.pop()
        if anchor:
            self._containers.pop()
        if section:
            self._headings = headings
        self._kind, self._in_content = outer_kind, self._in_content - (tag in rules.CONTENT_TAGS)

    def _children(self, node: Any, depth: int) -> None:
        if node.text:
            self._buffer.append(_inline_space(node.text))
        for child in node:
            self._element(child, depth + 1)
            if child.tail:
                self._buffer.append(_inline_space(child.tail))

    def _heading(self, node: Any, level: int) -> None:
        self._flush()
        text = clean_line(rules.visible_text(node)).replace("\n", " ")[:300]
        if not text:
            return
        own = rules.heading_anchor(node)
        opened = self._containers[-1] if self._containers else ("", -1)
        if not own and opened[1] == self._heading_count and rules.opens_section(node):
            own = opened[0]
        own = own or self._pending_anchor or (opened[0] if opened[1] == self._heading_count else "")
        self._headings = [pair for pair in self._headings if pair[0] < level]
        self._headings.append((level, own))
        self._heading_count += 1
        self._pending_anchor = ""
        self._emit("heading", text, level)

    def _anchor(self) -> str:
        if self._containers and self._containers[-1][1] == self._heading_count:
            return self._containers[-1][0]
        for _, anchor in reversed(self._headings):
            if anchor:
                return anchor
        return self._containers[-1][0] if self._containers else ""

    def _flush(self) -> None:
        text = clean_line("".join(self._buffer))
        self._buffer.clear()
        if not text:
            return
        kind, level = self._kind
        if kind == "item":
            # Only the first block of an item carries the bullet; its further paragraphs are plain text.
            kind, level = ("item", level) if self._bullets[-1:] == [True] else ("text", 0)
            if self._bullets:
                self._bullets[-1] = False
        self._emit(kind, text, level)

    def _emit(self, kind: BlockKind, text: str, level: int) -> None:
        if not text:
            return
        self._total_chars += len(text)
        if self._total_chars > MAX_TEXT_CHARS or len(self.blocks) >= MAX_BLOCKS:
            raise ExtractError("too_large", "The document has too much text.")
        if kind != "heading":
            self.has_text = True
            self._pending_anchor = ""
        self.blocks.append(Block(kind=kind, text=text, level=level, anchor=self._anchor()))


_BREAKS = re.compile(r"[\r\n]+")


def _inline_space(text: str) -> str:
    # Source line breaks are white space in HTML; only <br> is a line break.
    return _BREAKS.sub(" ", text)


def links_of(data: bytes, *, charset: str = "") -> Iterator[str]:
    """Yield the href of every link of the page in `data`, unresolved, in document order."""
    parser = html.HTMLParser(encoding="utf-8", no_network=True)
    try:
        tree = html.document_fromstring(
            decode(data, declared=charset, html=True).encode("utf-8", "replace"), parser=parser
        )
    except (etree.ParserError, etree.XMLSyntaxError):
        return
    for link in tree.iter("a"):
        if (link.get("rel") or "").lower() != "nofollow" and link.get("href"):
            yield str(link.get("href"))
