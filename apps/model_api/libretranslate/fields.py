"""Finds the key in a LibreTranslate body before anything is made of the rest."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

_LONGEST_KEY = 200
# What may stand between a part's name and its value: the rest of its head.
_LONGEST_HEAD = 400
_NAMES = (b'name="api_key"', b"name=api_key\r\n")


def key_within(body: bytes, content_type: bytes, query: bytes) -> str:
    """Return the field `api_key` of a JSON, form or multipart body, else of the query, else "".

    It is not the last word: the view reads the fields again, as it reads all of them.
    """
    kind = content_type.partition(b";")[0].strip().lower()
    if kind == b"application/json":
        return _from_json(body)
    found = key_of_part(body) if kind == b"multipart/form-data" else _from_form(body)
    return found or _from_form(query)


def key_of_part(body: bytes) -> str:
    """Return the value of the multipart field `api_key`, where it is here to its end, else "". Takes linear time."""
    at = max(body.find(name) for name in _NAMES)
    head = body.find(b"\r\n\r\n", at, at + _LONGEST_HEAD) if at >= 0 else -1
    end = body.find(b"\r\n--", head + 4, head + 4 + _LONGEST_KEY + 8) if head >= 0 else -1
    return body[head + 4 : end].decode("utf-8", "replace").strip() if end >= 0 else ""


def _from_json(body: bytes) -> str:
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    key = values.get("api_key") if isinstance(values, dict) else None
    return key.strip() if isinstance(key, str) else ""


def _from_form(text: bytes) -> str:
    try:
        values = parse_qs(text.decode("latin-1"), max_num_fields=1000).get("api_key", [""])
    except ValueError:
        return ""
    return values[-1].strip()
