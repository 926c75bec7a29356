"""In which encoding a file is written, from its beginning."""

from __future__ import annotations

import codecs

SAMPLE_BYTES = 256 * 1024
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_detect(head: bytes) -> str:
    """Return the codec for a file that begins with `head`.

    A byte order mark decides; then UTF-8 and UTF-16 by their structure; then GB 18030, in which Western text
    practically never decodes; then Windows-1252, which decodes anything.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if b"\x00" in head[:4096]:
        even, odd = head[0:4096:2].count(0), head[1:4096:2].count(0)
        if odd != even:
            return "utf-16-le" if odd > even else "utf-16-be"
    if _decodes(head, "utf-8"):
        return "utf-8"
    return "gb18030" if _decodes(head, "gb18030") else "cp1252"


def _decodes(head: bytes, name: str) -> bool:
    """Return whether `head` is valid up to a character that its end may have cut."""
    try:
        codecs.getincrementaldecoder(name)().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def encoding_known(name: str) -> bool:
    """Return whether Python can decode text by this name."""
    try:
        return codecs.lookup(name)._is_text_encoding
    except (LookupError, ValueError):
        return False
