"""Frames that no honest client sends: raw bytes, odd JSON, wrong types for every field of every action."""

from __future__ import annotations

import json
import os
import struct
import uuid
from typing import Any

TEXT, BINARY, CLOSE, PING = 0x1, 0x2, 0x8, 0x9


def raw_frame(
    payload: bytes, *, opcode: int = TEXT, fin: bool = True, rsv: int = 0, mask: bool = True, length: int | None = None
) -> bytes:
    """Return one frame (RFC 6455, section 5.2), with a declared length of one's own if wanted."""
    size = len(payload) if length is None else length
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    masked = 0x80 if mask else 0
    if size < 126:
        head += bytes([masked | size])
    elif size < 65536:
        head += bytes([masked | 126]) + struct.pack(">H", size)
    else:
        head += bytes([masked | 127]) + struct.pack(">Q", size)
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def _message(text: str, **extra: Any) -> bytes:
    return json.dumps({"type": "message", "client_id": str(uuid.uuid4()), "text": text, **extra}).encode()


# Name -> bytes as they go over the wire, and the close codes that are right for them.
RAW: dict[str, tuple[bytes, set[int]]] = {
    "binary": (raw_frame(b"\x00\x01\x02", opcode=BINARY), {1003}),
    "binary json": (raw_frame(b'{"type": "typing"}', opcode=BINARY), {1003}),
    "empty binary": (raw_frame(b"", opcode=BINARY), {1003}),
    "17 KiB": (raw_frame(b'{"type":"typing","x":"' + b"a" * 17_000 + b'"}'), {1009}),
    "16 KiB and 1": (raw_frame(b" " * (16 * 1024 + 1)), {1009}),
    "1 MiB": (raw_frame(b"a" * (1 << 20)), {1009}),
    "1 GiB declared": (raw_frame(b"a" * 100, length=1 << 30), {1009}),
    "8 EiB declared": (raw_frame(b"a" * 100, length=(1 << 63) - 1), {1009}),
    "length above 2^63": (raw_frame(b"a", length=(1 << 64) - 1), {1002, 1009}),
    "fragments above the limit": (
        raw_frame(b"a" * 9000, fin=False) + raw_frame(b"a" * 9000, opcode=0),
        {1009},
    ),
    "fragment without a start": (raw_frame(b"a", opcode=0), {1002}),
    "text inside a fragment": (raw_frame(b"a", fin=False) + raw_frame(b"b"), {1002}),
    "invalid utf-8": (raw_frame(b'{"type": "\xff\xfe"}'), {1007}),
    "cut utf-8": (raw_frame(b'{"type": "\xe2\x82'), {1007}),
    "surrogate in utf-8": (raw_frame(b'{"type": "\xed\xa0\x80"}'), {1007}),
    "overlong utf-8": (raw_frame(b'{"type": "\xc0\xaf"}'), {1007}),
    "not masked": (raw_frame(b'{"type": "typing"}', mask=False), {1002}),
    "reserved bit": (raw_frame(b'{"type": "typing"}', rsv=1), {1002}),
    "reserved bits": (raw_frame(b'{"type": "typing"}', rsv=7), {1002}),
    "reserved opcode": (raw_frame(b"x", opcode=0x3), {1002}),
    "reserved control opcode": (raw_frame(b"x", opcode=0xB), {1002}),
    "long ping": (raw_frame(b"x" * 126, opcode=PING), {1002}),
    "fragmented ping": (raw_frame(b"x", opcode=PING, fin=False), {1002}),
    "close with one byte": (raw_frame(b"x", opcode=CLOSE), {1002}),
    "close with a reserved code": (raw_frame(struct.pack(">H", 1005), opcode=CLOSE), {1002}),
    "close with bad utf-8": (raw_frame(struct.pack(">H", 1000) + b"\xff", opcode=CLOSE), {1002, 1007}),
    "compressed rubbish": (raw_frame(b"\xff\xff\xff\xff", rsv=4), {1002, 1007}),
    "http again": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", {1002}),
    "random bytes": (bytes(range(7, 255, 3)), {1002}),
    "tls hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(80), {1002}),
}

# Text frames that are no frame of ours -> the close code.
TEXTS: dict[str, tuple[str, int]] = {
    "empty": ("", 1007),
    "space": (" ", 1007),
    "word": ("hello", 1007),
    "open brace": ("{", 1007),
    "two objects": ("{}{}", 1007),
    "single quotes": ("{'type': 'typing'}", 1007),
    "comment": ('{"type": "typing"} // x', 1007),
    "byte order mark": ("\ufeff{}", 1007),
    "NUL": ("\x00", 1007),
    "NUL inside": ('{"type": "ty\x00ping"}', 1007),
    "huge integer": ('{"type": ' + "9" * 5000 + "}", 1007),
    "null": ("null", 1008),
    "number": ("7", 1008),
    "huge exponent": ("1e999999", 1008),
    "string": ('"typing"', 1008),
    "true": ("true", 1008),
    "NaN": ("NaN", 1008),
    "array": ("[]", 1008),
    "array of frames": ('[{"type": "typing"}]', 1008),
    "empty object": ("{}", 1008),
    "type null": ('{"type": null}', 1008),
    "type number": ('{"type": 7}', 1008),
    "type array": ('{"type": ["typing"]}', 1008),
    "type object": ('{"type": {"a": 1}}', 1008),
    "last of duplicate types is a number": ('{"type": "typing", "type": 7}', 1008),
    "100 deep arrays": ("[" * 100 + "]" * 100, 1008),
    "1,000 deep arrays": ("[" * 1000 + "]" * 1000, 1007),
    "1,000 deep objects": ('{"a":' * 1000 + "1" + "}" * 1000, 1007),
    "7,000 deep arrays": ("[" * 7000 + "]" * 7000, 1007),
    "1,000 deep and open": ("[" * 1000, 1007),
}

# Text frames of an unknown or odd kind that are answered with an error and leave the socket open.
UNKNOWN = [
    json.dumps({"type": kind})
    for kind in ["", " ", "Message", "MESSAGE", "message ", "message\x00", "\ud800", "ack", "welcome", "reply.end",
                 "__class__", "on_frame", "a" * 5000, "draft.accept", "subscribe", "消息", "\u202emessage"]
]  # fmt: skip

WRONG: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    float("nan"),
    float("inf"),
    10**30,
    "",
    "x" * 3000,
    "a\x00b",
    "\ud800",
    [],
    ["x"],
    {},
    {"$ne": 1},
    "' OR 1=1 --",
    "00000000-0000-0000-0000-000000000000",
]

VISITOR_FIELDS: dict[str, dict[str, Any]] = {
    "message": {"client_id": str(uuid.uuid4()), "text": "hello"},
    "reply.resume": {"reply_id": str(uuid.uuid4()), "offset": 0},
    "rating": {"message_id": str(uuid.uuid4()), "value": 1, "comment": "x"},
    "csat": {"value": 5, "comment": "x"},
    "typing": {"conversation_id": "x"},
    "handoff.request": {"conversation_id": "x"},
}
HELLO_FIELDS: dict[str, Any] = {
    "visitor_token": None,
    "conversation_id": None,
    "after_seq": 0,
    "identity": None,
    "attributes": {"plan": "gold"},
    "locale": "en",
}
STAFF_FIELDS: dict[str, dict[str, Any]] = {
    "subscribe": {"conversation_id": str(uuid.uuid4()), "after_seq": 0, "queue": False},
    "unsubscribe": {"conversation_id": str(uuid.uuid4()), "queue": False},
    "reply.resume": {"conversation_id": str(uuid.uuid4()), "reply_id": str(uuid.uuid4()), "offset": 0},
    "seen": {"conversation_id": str(uuid.uuid4()), "seq": 1},
    "typing": {"conversation_id": str(uuid.uuid4())},
    "presence": {"status": "online"},
    "draft.request": {"conversation_id": str(uuid.uuid4()), "instruction": "x"},
    "draft.cancel": {"draft_id": str(uuid.uuid4())},
    "draft.accept": {"draft_id": str(uuid.uuid4()), "text": "x"},
    "draft.edit": {"draft_id": str(uuid.uuid4()), "text": "x"},
    "draft.reject": {"draft_id": str(uuid.uuid4())},
}


def wrong_frames(kind: str, fields: dict[str, Any]) -> list[str]:
    """Frames of one kind with each field in turn of each wrong value, and one without any field."""
    found = [{"type": kind}]
    found += [{"type": kind, **fields, name: value} for name in fields for value in WRONG]
    return [json.dumps(frame) for frame in found]
