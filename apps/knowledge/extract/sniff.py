"""Deciding what a file is: by its content, with the name as a hint between kinds of text."""

from __future__ import annotations

import re
from pathlib import PurePath

from apps.documents.encoding import decode
from apps.documents.errors import ExtractError

_MARKDOWN_SUFFIXES = {".md", ".markdown", ".mdown", ".mkd"}
_HTML_SUFFIXES = {".html", ".htm", ".xhtml", ".xht"}

_HTML_DOCTYPE = re.compile(r"<!doctype\s+html\s*(?:>|system|public)", re.IGNORECASE)
_HTML_START = re.compile(r"<(?:!doctype\s+html|html|head|body|title|meta)\b", re.IGNORECASE)
_XML_ROOT = re.compile(r"<(?![?!])([a-zA-Z_][\w.:-]{0,80})")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_TAG = re.compile(r"</?(?:p|h[1-6]|div|a|ul|ol|table|section|article|span|br)\b", re.IGNORECASE)


def sniff(data: bytes, name: str) -> str:
    """Return html, markdown, text, pdf or docx (any zip: the DOCX reader looks further).

    Raises ExtractError `unsupported_type` for everything else: images, SVG and other XML, archives, programs.
    """
    if data.startswith(b"%PDF-"):
        return "pdf"
    if data.startswith(b"PK\x03\x04"):
        return "docx"
    head = decode(data[:65536], partial=True)
    if len(_CONTROL.findall(head)) > 8 + len(head) * 0.005:
        raise ExtractError("unsupported_type", "The file is not text, HTML, Markdown, PDF or DOCX.")
    if head.startswith("{\\rtf"):
        raise ExtractError("unsupported_type", "RTF is not supported.")
    return _text_kind(head, PurePath(name).suffix.lower())


def _text_kind(head: str, suffix: str) -> str:
    start = head[:4096].lstrip()
    if _HTML_DOCTYPE.match(start):
        return "html"
    if start.startswith("<?xml") or start[:9].lower() == "<!doctype" or re.match(r"<[\w:]*svg\b", start, re.IGNORECASE):
        root = _XML_ROOT.search(start)
        if root is None or root[1].lower() != "html":
            raise ExtractError("unsupported_type", "XML other than XHTML is not supported.")
        return "html"
    if suffix in _MARKDOWN_SUFFIXES:
        return "markdown"
    if _HTML_START.search(start[:2048]) or (suffix in _HTML_SUFFIXES and _TAG.search(head)):
        return "html"
    return "text"
