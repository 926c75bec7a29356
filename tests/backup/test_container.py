"""The encrypted file: what is altered, cut or opened with another key is refused, each by its own name."""

from __future__ import annotations

import io
import json
import tracemalloc

import pytest

from nlpsuite.backup import container
from nlpsuite.backup.container import CHUNK_BYTES, MAGIC, SealedReader, SealedWriter
from nlpsuite.backup.errors import FileDamaged, FileForeign, KeyWrong
from nlpsuite.backup.sections import END, section_write, sections_read, value_read, value_write

KEY = b"correct horse battery staple"
SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES]


@pytest.fixture(autouse=True)
def _quick_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "_SCRYPT", {"n": 2**10, "r": 8, "p": 1})


def sealed(plain: bytes, key: bytes = KEY) -> bytes:
    target = io.BytesIO()
    writer = SealedWriter(target, key)
    writer.write(plain)
    writer.finish()
    return target.getvalue()


def opened(data: bytes, key: bytes = KEY) -> bytes:
    reader = SealedReader(io.BytesIO(data), key)
    return b"".join(reader._chunks)


HEAD = len(sealed(b"")) - 16


@pytest.mark.parametrize("size", SIZES)
def test_what_was_sealed_comes_back(size: int) -> None:
    plain = bytes(number % 251 for number in range(size))
    assert opened(sealed(plain)) == plain


def test_the_plain_text_and_the_key_are_not_in_the_file() -> None:
    data = sealed(b"a secret that nobody may read" * 10)
    assert b"a secret" not in data
    assert KEY not in data


def test_two_files_of_the_same_content_have_nothing_in_common() -> None:
    assert sealed(b"x" * 100)[HEAD:] != sealed(b"x" * 100)[HEAD:]


@pytest.mark.parametrize("key", [b"another key", KEY + b" ", KEY[:-1], b""])
def test_another_key_is_refused_before_anything_is_read(key: bytes) -> None:
    with pytest.raises(KeyWrong):
        SealedReader(io.BytesIO(sealed(b"text")), key)


@pytest.mark.parametrize("at", [HEAD, HEAD + 1000, HEAD + CHUNK_BYTES + 20, -1, -17])
def test_a_flipped_bit_in_the_content_is_noticed(at: int) -> None:
    data = bytearray(sealed(b"y" * (2 * CHUNK_BYTES + 50)))
    data[at] ^= 1
    with pytest.raises(FileDamaged):
        opened(bytes(data))


@pytest.mark.parametrize("at", range(len(MAGIC), HEAD, 7))
def test_a_flipped_bit_in_the_header_is_damage_or_another_format(at: int) -> None:
    data = bytearray(sealed(b"text"))
    data[at] ^= 1
    with pytest.raises((FileDamaged, FileForeign, KeyWrong)) as caught:
        opened(bytes(data))
    # Only the HMAC itself, 64 digits at the end of the header, can look like another key's.
    assert caught.type is not KeyWrong or at >= HEAD - 65


@pytest.mark.parametrize("left", [HEAD, HEAD + 10, HEAD + CHUNK_BYTES + 16, HEAD + CHUNK_BYTES + 500, -1])
def test_a_file_that_was_cut_is_noticed(left: int) -> None:
    data = sealed(b"z" * (2 * CHUNK_BYTES + 50))
    with pytest.raises(FileDamaged, match="cut"):
        opened(data[:left])


@pytest.mark.parametrize("left", [0, 5, len(MAGIC) - 1])
def test_a_file_cut_within_its_first_line_is_no_backup(left: int) -> None:
    with pytest.raises(FileForeign):
        opened(sealed(b"text")[:left])


@pytest.mark.parametrize("left", [len(MAGIC), len(MAGIC) + 30, HEAD - 70, HEAD - 1])
def test_a_file_cut_within_its_header_is_damaged(left: int) -> None:
    with pytest.raises(FileDamaged):
        opened(sealed(b"text")[:left])


def test_chunks_in_another_order_or_twice_are_noticed() -> None:
    data = sealed(b"a" * CHUNK_BYTES + b"b" * CHUNK_BYTES + b"c")
    size = CHUNK_BYTES + 16
    head, first, second, rest = data[:HEAD], data[HEAD:][:size], data[HEAD + size :][:size], data[HEAD + 2 * size :]
    with pytest.raises(FileDamaged):
        opened(head + second + first + rest)
    with pytest.raises(FileDamaged):
        opened(head + first + first + second + rest)


def test_something_after_the_end_is_noticed() -> None:
    with pytest.raises(FileDamaged):
        opened(sealed(b"text") + b"more")


@pytest.mark.parametrize("data", [b"PK\x03\x04" + b"x" * 400, b"", b"\x00" * 1000, b"nlpsuite something\n" * 9])
def test_another_kind_of_file_is_no_backup(data: bytes) -> None:
    with pytest.raises(FileForeign, match="not a backup"):
        opened(data)


def test_a_later_format_is_called_so() -> None:
    with pytest.raises(FileForeign, match="newer version"):
        opened(MAGIC.replace(b"1", b"2") + sealed(b"text")[len(MAGIC) :])


@pytest.mark.parametrize(
    "fields", [{"n": 2**40}, {"r": 2**30}, {"p": 10**9}, {"n": 0}, {"kdf": "md5"}, {"salt": "AA=="}]
)
def test_a_header_cannot_ask_for_all_the_memory(fields: dict[str, object]) -> None:
    import hashlib

    data = sealed(b"text")
    header = {**json.loads(data.split(b"\n")[1]), **fields}
    head = MAGIC + json.dumps(header).encode() + b"\n"
    with pytest.raises(FileForeign):
        opened(head + hashlib.sha256(head).hexdigest().encode() + b"\n" + b"0" * 64 + b"\n" + data[HEAD:])


def test_memory_does_not_grow_with_the_file() -> None:
    class Pit(io.RawIOBase):
        def write(self, data: object) -> int:
            return 0

    writer = SealedWriter(Pit(), KEY)  # type: ignore[arg-type]
    tracemalloc.start()
    section_write(writer, {"name": "database"}, (b"x" * 200_000 for _ in range(500)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * CHUNK_BYTES


def test_sections_come_back_in_order_and_may_be_passed_over() -> None:
    target = io.BytesIO()
    writer = SealedWriter(target, KEY)
    section_write(writer, {"name": "file", "path": "a"}, [b"1" * 100_000, b"", b"2"])
    value_write(writer, "manifest", {"rows": 3, "text": "é" * 300_000})
    section_write(writer, {"name": END})
    writer.finish()
    found = []
    for head, blocks in sections_read(SealedReader(io.BytesIO(target.getvalue()), KEY)):
        found.append((head["name"], value_read(blocks)["rows"] if head["name"] == "manifest" else None))
    assert found == [("file", None), ("manifest", 3)]


def test_a_stream_that_ends_before_its_last_section_is_damaged() -> None:
    target = io.BytesIO()
    writer = SealedWriter(target, KEY)
    section_write(writer, {"name": "file", "path": "a"}, [b"1"])
    writer.finish()
    with pytest.raises(FileDamaged):
        list(sections_read(SealedReader(io.BytesIO(target.getvalue()), KEY)))
