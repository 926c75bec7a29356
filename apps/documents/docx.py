"""The zip under a DOCX file, opened with bounds on everything."""

from __future__ import annotations

import io
import zipfile
from typing import IO

from apps.documents.errors import ExtractError

MAX_ENTRIES = 4000
MAX_TOTAL_BYTES = 400 * 1024 * 1024
"""Declared size of all parts together; pictures count, although they are never read."""
MAX_PART_BYTES = 48 * 1024 * 1024
"""Inflated size of a part that is read; a 1,000-page book's document.xml is about 20 MiB."""
MAX_RATIO = 200
MAX_TAG_BYTES = 1_000_000
_MAIN_TYPES = (
    b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
    b"application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml",
)


def check_archive(archive: zipfile.ZipFile) -> None:
    """Refuse what is no DOCX, or inflates beyond reason. Raises ExtractError unsupported_type, bomb_refused, encrypted."""
    entries = archive.infolist()
    names = {entry.filename for entry in entries}
    if "[Content_Types].xml" not in names or "word/document.xml" not in names:
        raise ExtractError("unsupported_type", "The archive is not a DOCX document.")
    if len(entries) > MAX_ENTRIES or len(names) != len(entries):
        raise ExtractError("bomb_refused", "The archive has too many or repeated entries.")
    if sum(entry.file_size for entry in entries) > MAX_TOTAL_BYTES:
        raise ExtractError("bomb_refused", "The archive inflates past the limit.")
    end = 0
    for entry in sorted(entries, key=lambda e: e.header_offset):
        if entry.header_offset < end:
            raise ExtractError("bomb_refused", "Entries of the archive overlap.")
        end = entry.header_offset + 30 + entry.compress_size
        if entry.file_size > 1_000_000 and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
            raise ExtractError("bomb_refused", "An entry of the archive is compressed beyond reason.")
    with read_part(archive, "[Content_Types].xml") as stream:
        if not any(kind in stream.read() for kind in _MAIN_TYPES):
            raise ExtractError("unsupported_type", "The archive is not a DOCX document.")


def read_part(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """Return the part's bytes, bounded and checked: no DTD (so no entities), UTF-8 only (so the check sees it)."""
    info = archive.getinfo(name)
    if info.flag_bits & 0x1:
        raise ExtractError("encrypted", "The archive is encrypted.")
    with archive.open(info) as stream:
        data = stream.read(MAX_PART_BYTES + 1)
    if len(data) > MAX_PART_BYTES:
        raise ExtractError("bomb_refused", "A part of the archive inflates past the limit.")
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data or data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:64]:
        raise ExtractError("bomb_refused", "A part of the archive declares entities or is not UTF-8.")
    _check_tags(data)
    return io.BytesIO(data)


def _check_tags(data: bytes) -> None:
    """Refuse a tag of more than a megabyte: a million attributes cost the parser thirty times their size."""
    start = 0
    while (end := data.find(b">", start)) >= 0:
        if end - start > MAX_TAG_BYTES:
            break
        start = end + 1
    if max(end, len(data)) - start > MAX_TAG_BYTES:
        raise ExtractError("bomb_refused", "A part of the archive has a tag of unreasonable size.")
