"""Bytes to text."""

from __future__ import annotations

import re

from apps.documents.errors import ExtractError

_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")


def decode(data: bytes, *, declared: str = "", html: bool = False, partial: bool = False) -> str:
    """Return the text of `data`.

    Order: byte order mark, the declared charset (HTTP header, or `<meta>` when `html`), UTF-8, GB18030 when the result
    reads as Chinese, Windows-1252. `partial` says the end may be cut inside a character.
    Raises ExtractError `unsupported_type` when NUL bytes show that this is not text.
    """
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    if b"\0" in data:
        raise ExtractError("unsupported_type", "The file is not text, HTML, Markdown, PDF or DOCX.")
    if html and not declared and (found := _META_CHARSET.search(data[:4096])):
        declared = found[1].decode("ascii", "ignore")
    for encoding in filter(None, (declared, "utf-8")):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            if partial and error.start >= len(data) - 4:
                return data[: error.start].decode(encoding)
        except LookupError:
            continue
    return _decode_legacy(data)


def _decode_legacy(data: bytes) -> str:
    """Tell GB18030 from Windows-1252: Chinese bytes come in long runs, accented letters alone or in pairs."""
    runs = [len(run) for run in _HIGH_RUN.findall(data)]
    if runs and sum(length for length in runs if length >= 4) > 0.6 * sum(runs):
        try:
            return data.decode("gb18030")
        except UnicodeDecodeError:
            pass
    return data.decode("cp1252", errors="replace")
