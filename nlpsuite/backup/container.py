"""The encrypted file: a header, then a stream of sealed chunks.

    magic line, header (one line of JSON), sha256 of both (hex), HMAC of both (hex), chunks

Each chunk is 1 MiB of plaintext (the last one may be shorter) under ChaCha20-Poly1305. Its nonce is its number and a
byte that says whether it is the last one (the STREAM construction, Hoang, Reyhanitabar, Rogaway, Vizar 2015, as in the
age format): a chunk that is altered, moved, doubled or left out is noticed, and so is an end that is missing. The key
is derived from the operator's secret by scrypt with a salt of this file alone, so nonces never meet a key twice. The
digest tells a damaged header from a wrong key, which the HMAC finds before anything is decrypted.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from typing import IO, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from nlpsuite.backup.errors import FileDamaged, FileForeign, KeyWrong

MAGIC = b"nlpsuite backup 1\n"
_FAMILY = b"nlpsuite backup "
CHUNK_BYTES = 1024 * 1024
_TAG_BYTES = 16
_HEADER_MAX_BYTES = 4096
# 128 MiB and about half a second: what OWASP's cheat sheet asks of scrypt for passwords.
_SCRYPT = {"n": 2**17, "r": 8, "p": 1}
# What a header may ask of the machine that reads it.
_SCRYPT_MAX_BYTES = 1024**3
_SALT_BYTES = 32


def _derive(secret: bytes, salt: bytes, *, n: int, r: int, p: int) -> tuple[bytes, bytes]:
    """Return the keys of the header and of the chunks."""
    root = hashlib.scrypt(secret, salt=salt, n=n, r=r, p=p, maxmem=2**31 - 2, dklen=32)
    return hmac.digest(root, b"header", "sha256"), hmac.digest(root, b"chunks", "sha256")


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


class SealedWriter:
    """Encrypts what is written to it. `finish` must be called: without it the file counts as cut."""

    def __init__(self, target: IO[bytes], secret: bytes) -> None:
        salt = os.urandom(_SALT_BYTES)
        header = json.dumps({"kdf": "scrypt", **_SCRYPT, "salt": base64.b64encode(salt).decode()}).encode() + b"\n"
        header_key, chunk_key = _derive(secret, salt, **_SCRYPT)
        head = MAGIC + header
        self._target, self._cipher = target, ChaCha20Poly1305(chunk_key)
        self._waiting, self._number = bytearray(), 0
        self.written_bytes = 0
        self._put(head)
        self._put(hashlib.sha256(head).hexdigest().encode() + b"\n")
        self._put(hmac.digest(header_key, head, "sha256").hex().encode() + b"\n")

    def _put(self, data: bytes) -> None:
        self._target.write(data)
        self.written_bytes += len(data)

    def write(self, data: bytes) -> None:
        """Take plaintext of any length."""
        self._waiting += data
        # Strictly more: the last chunk, full or not, is sealed by `finish`.
        while len(self._waiting) > CHUNK_BYTES:
            self._seal(bytes(self._waiting[:CHUNK_BYTES]), last=False)
            del self._waiting[:CHUNK_BYTES]

    def finish(self) -> None:
        """Seal the last chunk."""
        self._seal(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _seal(self, plain: bytes, *, last: bool) -> None:
        self._put(self._cipher.encrypt(_nonce(self._number, last=last), plain, None))
        self._number += 1


class SealedReader:
    """Decrypts a file chunk by chunk; nothing that was not authenticated is given out.

    Raises FileForeign, FileDamaged, KeyWrong at once, and FileDamaged while reading.
    """

    def __init__(self, source: IO[bytes], secret: bytes) -> None:
        self._source = source
        head, digest, tag = _head(source)
        if hashlib.sha256(head).hexdigest().encode() != digest:
            raise FileDamaged("The beginning of the file was altered.")
        fields = _fields(head)
        header_key, chunk_key = _derive(secret, fields.pop("salt"), **fields)
        if not hmac.compare_digest(hmac.digest(header_key, head, "sha256").hex().encode(), tag):
            raise KeyWrong("This is not the key that the backup was made with.")
        self._cipher, self._waiting, self._chunks = ChaCha20Poly1305(chunk_key), b"", self._opened()
        self.read_bytes = len(head) + 130

    def _opened(self) -> Iterator[bytes]:
        number, sealed = 0, self._source.read(CHUNK_BYTES + _TAG_BYTES)
        while True:
            following = self._source.read(CHUNK_BYTES + _TAG_BYTES)
            last = not following
            try:
                plain = self._cipher.decrypt(_nonce(number, last=last), sealed, None)
            except (InvalidTag, ValueError):
                raise FileDamaged(self._why(number, sealed, last=last)) from None
            self.read_bytes += len(sealed)
            yield plain
            if last:
                return
            number, sealed = number + 1, following

    def _why(self, number: int, sealed: bytes, *, last: bool) -> str:
        if not last:
            return f"The file was altered in or near its byte {self.read_bytes}."
        try:
            self._cipher.decrypt(_nonce(number, last=False), sealed, None)
        except (InvalidTag, ValueError):
            return "The file was cut short, or altered at its end."
        return "The file was cut short: its end is missing."

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes. Raises FileDamaged where the file ends before."""
        while len(self._waiting) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise FileDamaged("The file ends in the middle of its content.")
            self._waiting += chunk
        data, self._waiting = self._waiting[:size], self._waiting[size:]
        return data

    def drain(self) -> None:
        """Read to the end, so that every chunk is checked."""
        self._waiting = b""
        for _ in self._chunks:
            pass


def _head(source: IO[bytes]) -> tuple[bytes, bytes, bytes]:
    magic = source.readline(len(MAGIC))
    if magic != MAGIC:
        if magic.startswith(_FAMILY):
            raise FileForeign("The file was made by a newer version, in a format that this one does not know.")
        raise FileForeign("The file is not a backup of nlpsuite.")
    header = source.readline(_HEADER_MAX_BYTES)
    digest, tag = source.readline(65), source.readline(65)
    if not header.endswith(b"\n") or len(digest) != 65 or len(tag) != 65:
        raise FileDamaged("The beginning of the file is incomplete.")
    return magic + header, digest[:-1], tag[:-1]


def _fields(head: bytes) -> dict[str, Any]:
    try:
        found = json.loads(head.removeprefix(MAGIC))
        fields = {name: int(found[name]) for name in ("n", "r", "p")}
        salt = base64.b64decode(found["salt"], validate=True)
    except (ValueError, KeyError, TypeError) as error:
        raise FileForeign("The header of the file is none that this version knows.") from error
    bounded = min(fields.values()) >= 1 and 128 * fields["n"] * fields["r"] * fields["p"] <= _SCRYPT_MAX_BYTES
    power_of_two = fields["n"] > 1 and not fields["n"] & (fields["n"] - 1)
    if found.get("kdf") != "scrypt" or not bounded or not power_of_two or len(salt) != _SALT_BYTES:
        raise FileForeign("The header of the file asks for what this version does not do.")
    return {**fields, "salt": salt}
