"""What is inside the encrypted stream: named sections, one after the other, each of a length that nobody knew before.

A section is a line of JSON with its length before it, then blocks with their lengths, then an empty block.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from typing import Any

from nlpsuite.backup.container import SealedReader, SealedWriter
from nlpsuite.backup.errors import FileDamaged

BLOCK_BYTES = 256 * 1024
_HEAD_MAX_BYTES = 64 * 1024
# A section that is held in memory: the manifest, the secrets.
_VALUE_MAX_BYTES = 256 * 1024 * 1024
_LENGTH = struct.Struct(">I")
END = "end"


def section_write(writer: SealedWriter, head: dict[str, Any], blocks: Iterable[bytes] = ()) -> None:
    """Write a section; `head` has its `name`."""
    line = json.dumps(head, separators=(",", ":")).encode()
    writer.write(_LENGTH.pack(len(line)) + line)
    for block in blocks:
        if block:
            writer.write(_LENGTH.pack(len(block)) + block)
    writer.write(_LENGTH.pack(0))


def value_write(writer: SealedWriter, name: str, value: Any) -> None:
    """Write a section whose content is one JSON value."""
    data = json.dumps(value, separators=(",", ":")).encode()
    blocks = (data[at : at + BLOCK_BYTES] for at in range(0, len(data), BLOCK_BYTES))
    section_write(writer, {"name": name}, blocks)


def sections_read(reader: SealedReader) -> Iterator[tuple[dict[str, Any], Iterator[bytes]]]:
    """Yield head and blocks of each section up to the end; blocks that were not taken are passed over.

    Raises FileDamaged.
    """
    while True:
        head = json.loads(reader.read(_length(reader, _HEAD_MAX_BYTES)))
        blocks = _blocks(reader)
        if head.get("name") == END:
            for _ in blocks:
                pass
            reader.drain()
            return
        yield head, blocks
        for _ in blocks:
            pass


def value_read(blocks: Iterator[bytes]) -> Any:
    """Return the JSON value of a section."""
    data = bytearray()
    for block in blocks:
        data += block
        if len(data) > _VALUE_MAX_BYTES:
            raise FileDamaged("A part of the file is larger than any backup has it.")
    return json.loads(bytes(data))


def _length(reader: SealedReader, most: int) -> int:
    (length,) = _LENGTH.unpack(reader.read(_LENGTH.size))
    if length > most:
        raise FileDamaged("A part of the file has an impossible length.")
    return int(length)


def _blocks(reader: SealedReader) -> Iterator[bytes]:
    while length := _length(reader, BLOCK_BYTES):
        yield reader.read(length)
