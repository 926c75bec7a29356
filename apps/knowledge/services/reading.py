"""One file or web page as text, for who wants to read it once: nothing is stored."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from django.conf import settings

from apps.core.errors import AppError, Busy, Invalid, TooLarge, Unavailable
from apps.documents.errors import ExtractError
from apps.knowledge.extract.box import BoxDocument, BoxFile, extract_boxed
from apps.knowledge.services.crawl import CrawlLimits, crawl
from apps.knowledge.types import DocumentText

# Somebody waits for the answer: less patience than for a source.
TIMEOUT_S = 15.0
# Each is a process of up to 512 MB, and a thread of the web process that waits for it.
_AT_ONCE = threading.BoundedSemaphore(2)


def document_read(*, name: str, data: bytes, max_chars: int) -> DocumentText:
    """Return the text of a file that its owner calls `name`.

    Limits:  KNOWLEDGE_MAX_FILE_BYTES; 15 s; `max_chars` of text, beyond which it is cut and says so; two at once.
    Errors:  Invalid or TooLarge with the code of the reader (unsupported_type, too_large, bomb_refused, encrypted,
             extract_failed, extract_timeout), Invalid "file_empty", "nothing_found", Busy.
    """
    if not data:
        raise Invalid("The file is empty.", code="file_empty")
    if len(data) > settings.KNOWLEDGE_MAX_FILE_BYTES:
        raise TooLarge("The file is larger than the limit.")
    with _permit(), TemporaryDirectory(prefix="nlpsuite-read-") as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        result = next(extract_boxed([BoxFile(str(path), name)], timeout_s=TIMEOUT_S))
    return _text_of(result, name, max_chars)


def page_read(*, url: str, max_chars: int) -> DocumentText:
    """Return the text of the page at `url`, fetched by the one outbound client.

    Errors: those of `document_read`, and Invalid "address_refused", "fetch_status", Unavailable "fetch_failed",
            "deadline_exceeded".
    """
    size = settings.KNOWLEDGE_MAX_FILE_BYTES
    limits = CrawlLimits(pages=1, depth=0, total_bytes=size, seconds=TIMEOUT_S, page_bytes=size)
    with _permit():
        page = next(crawl(url, limits, check=lambda: None))
    return _text_of(page.result, page.url, max_chars)


@contextmanager
def _permit() -> Iterator[None]:
    if not _AT_ONCE.acquire(timeout=2.0):
        raise Busy("Other files are being read. Try again shortly.", retry_after_s=3)
    try:
        yield
    finally:
        _AT_ONCE.release()


def _text_of(result: BoxDocument | ExtractError, name: str, max_chars: int) -> DocumentText:
    if isinstance(result, ExtractError):
        raise _error_of(result)
    parts: list[str] = []
    for heading, chunks in groupby(result.chunks, key=lambda chunk: chunk.heading):
        section = "\n".join(chunk.text for chunk in chunks)
        # The path ends in the heading itself; a document's own title is shown apart.
        own = heading.rpartition(" › ")[2]
        parts.append(f"{own}\n{section}" if own and own != result.title else section)
    text = "\n\n".join(parts).strip()
    if not text:
        raise Invalid("No text was found.", code="nothing_found")
    return DocumentText(result.title or name, text[:max_chars], result.format, len(text), "hidden_text" in result.flags)


def _error_of(error: ExtractError) -> AppError:
    if error.code == "too_large":
        return TooLarge(error.message)
    if error.code in {"fetch_failed", "deadline_exceeded"}:
        return Unavailable(error.message, code=error.code)
    return Invalid(error.message, code=error.code)
