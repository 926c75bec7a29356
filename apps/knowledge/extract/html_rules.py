"""What counts as content, page furniture and hidden text in an HTML page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lxml import html

HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
NEVER = {
    "script", "style", "noscript", "template", "head", "svg", "math", "iframe", "object", "embed", "canvas",
    "audio", "video", "form", "button", "select", "textarea", "input", "nav", "dialog", "map", "frameset",
    "title", "link", "meta",
}  # fmt: skip
BLOCKS = {
    "html", "body", "main", "article", "section", "div", "p", "ul", "ol", "li", "dl", "dt", "dd", "blockquote",
    "figure", "figcaption", "details", "summary", "address", "fieldset", "legend", "center", "hr", "header", "footer",
    "aside", "table", "thead", "tbody", "tfoot", "tr", "td", "th", "caption", "hgroup", "menu", "search",
}  # fmt: skip
SECTIONING = {"section", "article", "main", "div", "aside", "body", "details"}
CONTENT_TAGS = {"main", "article", "section"}

_SECTION_CLASSES = {"section", "chapter", "appendix", "preface", "sect1", "sect2", "sect3", "sect4", "refsect1"}
_FURNITURE_ROLES = {"navigation", "search", "banner", "contentinfo", "menu", "menubar", "toolbar", "alert", "dialog"}
_FURNITURE_CLASSES = {"sphinxsidebar", "cookie-banner", "cookie-consent", "skip-link", "visually-hidden", "sr-only"}
_LINK_BOX_CLASSES = {
    "sidebar", "breadcrumb", "breadcrumbs", "navbar", "navigation", "toctree-wrapper", "toc", "table-of-contents",
    "contents", "pagination", "related",
}  # fmt: skip
_PERMALINK_CLASSES = {"headerlink", "anchorjs-link", "header-anchor", "hash-link", "anchor-link", "permalink"}
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|font-size\s*:\s*0(?:\.0+)?(?:px|pt|em|rem|%)?\s*(?:;|!|$)"
    r"|opacity\s*:\s*0(?:\.0+)?\s*(?:;|!|$)|(?:left|top|text-indent|margin-left)\s*:\s*-\d{4,}|clip\s*:\s*rect\(0",
    re.IGNORECASE,
)
_WHITE = r"(?:#fff(?:fff)?(?:ff)?\b|white\b|rgba?\(\s*255\s*,\s*255\s*,\s*255\b|hsl\(\s*\d+\s*,\s*\d+%\s*,\s*100%)"
_WHITE_TEXT = re.compile(r"(?:^|[;\s])color\s*:\s*" + _WHITE, re.IGNORECASE)
_WHITE_VALUE = re.compile(_WHITE, re.IGNORECASE)
_BACKGROUND = re.compile(r"background(?:-color)?\s*:\s*([^;]{1,80})", re.IGNORECASE)
_PERMALINK_TEXT = {"¶", "#", "§", "🔗", "\uf0c1"}
_OUTWARD = re.compile(r"https?://|mailto:|tel:", re.IGNORECASE)
_LINK_LIST_MIN = 6


def main_element(tree: html.HtmlElement) -> html.HtmlElement:
    """Return the element that holds the page's content: `main` when it holds a fair part of the text, else the body."""
    body = tree.find("body")
    body = tree if body is None else body
    found = tree.xpath("//main | //*[@role='main']")
    if len(found) == 1 and len(found[0].text_content()) >= min(200, len(body.text_content()) * 0.25):
        return found[0]
    return body


def is_section(node: Any, tag: str) -> bool:
    """Return whether headings inside `node` end with it."""
    return tag in ("section", "article") or not _SECTION_CLASSES.isdisjoint((node.get("class") or "").split())


def opens_section(heading: Any) -> bool:
    """Return whether `heading` is directly inside a section element."""
    parent = heading.getparent()
    return parent is not None and is_section(parent, str(parent.tag))


def own_anchor(node: Any) -> str:
    """Return the id or name of an `a`, or ""."""
    return str(node.get("id") or node.get("name") or "").strip()


def heading_anchor(node: Any) -> str:
    """Return the id of the heading, or else of the first `a` (id or name) inside it."""
    own = str(node.get("id") or "").strip()
    return own or next((anchor for anchor in map(own_anchor, node.iter("a")) if anchor), "")


def is_permalink(node: Any) -> bool:
    """Return whether `node` is the little link beside a heading."""
    if node.tag != "a":
        return False
    if not _PERMALINK_CLASSES.isdisjoint((node.get("class") or "").split()):
        return True
    return (node.get("href") or "").startswith("#") and node.text_content().strip() in _PERMALINK_TEXT


def is_hidden(node: Any) -> bool:
    """Return whether a reader would not see `node`: hidden, off-screen, zero-sized, or white on white.

    White text counts unless a background other than white is stated inline above it, since style sheets are not read.
    """
    if node.get("hidden") is not None or (node.get("aria-hidden") or "").strip().lower() == "true":
        return True
    style = node.get("style") or ""
    if style and _HIDING.search(style):
        return True
    white = (style and _WHITE_TEXT.search(style)) or (
        node.tag == "font" and _WHITE_VALUE.match(node.get("color") or "")
    )
    return bool(white) and _on_white(node)


def _on_white(node: Any) -> bool:
    while node is not None:
        background = node.get("bgcolor") or ""
        if found := _BACKGROUND.search(node.get("style") or ""):
            background = found[1]
        if background.strip():
            return bool(_WHITE_VALUE.search(background))
        node = node.getparent()
    return True


def has_words(node: Any) -> bool:
    """Return whether hidden `node` holds a sentence rather than an icon or a label for screen readers."""
    return len(node.text_content().split()) >= 4 and not node.xpath(".//input | .//form")


def is_furniture(node: Any, tag: str, *, inside_content: bool) -> bool:
    """Return whether `node` belongs to the page rather than to its content."""
    if is_permalink(node):
        return True
    classes = set((node.get("class") or "").lower().split())
    if tag == "aside":
        return "footnote" not in classes and not inside_content
    if tag in ("header", "footer"):
        return not inside_content
    if (node.get("role") or "").strip().lower() in _FURNITURE_ROLES:
        return True
    if tag not in HEADINGS and not classes.isdisjoint(_FURNITURE_CLASSES):
        return True
    # The same class names also wrap whole documents (Sphinx puts a one-page manual into "toctree-wrapper").
    if not classes.isdisjoint(_LINK_BOX_CLASSES) and _link_share(node)[1] >= 0.7:
        return True
    if tag not in ("ul", "ol"):
        return False
    count, share = _link_share(node)
    return count >= _LINK_LIST_MIN and share >= 0.9


def _link_share(node: Any) -> tuple[int, float]:
    """Number of links inside the site, and their share of the text: high for menus and tables of contents."""
    links = [a for a in node.iter("a") if not _OUTWARD.match(a.get("href") or "")]
    if not links:
        return 0, 0.0
    total = len(" ".join(node.text_content().split()))
    return len(links), sum(len(" ".join(a.text_content().split())) for a in links) / max(total, 1)


def visible_text(node: Any) -> str:
    """Return the text of `node` without permalinks, hidden parts and things that are never text."""
    parts = [node.text or ""]
    for child in node:
        if isinstance(child.tag, str) and child.tag not in NEVER and not is_permalink(child) and not is_hidden(child):
            parts.append("\n" if child.tag == "br" else visible_text(child))
        parts.append(child.tail or "")
    return "".join(parts)


def is_layout_table(node: Any) -> bool:
    """Return whether a table only places things on the page: it holds headings, lists, code or other tables."""
    return bool(node.xpath(".//table | .//h1 | .//h2 | .//h3 | .//h4 | .//ul | .//ol | .//pre"))


def table_rows(node: Any) -> Iterator[str]:
    """Yield one line per row: `Header: cell; ...` under a header row, else cells parted by ` | `."""
    headers: list[str] = []
    rows = 0
    for caption in node.iter("caption"):
        yield visible_text(caption)
    for row in node.iter("tr"):
        if is_hidden(row):
            continue
        cells = [cell for cell in row if cell.tag in ("td", "th")]
        texts = [" ".join(visible_text(cell).split()) for cell in cells if not is_hidden(cell)]
        if not headers and cells and all(cell.tag == "th" for cell in cells) and len(cells) > 1:
            headers = texts
            continue
        rows += 1
        if headers and len(headers) == len(texts):
            yield "; ".join(
                f"{head}: {text}" if head else text for head, text in zip(headers, texts, strict=True) if text
            )
        else:
            yield " | ".join(text for text in texts if text)
    if headers and not rows:
        yield " | ".join(headers)
