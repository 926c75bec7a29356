"""What PostgreSQL and UTF-8 cannot keep is refused where a request is read, in each part of it."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.core.errors import Invalid
from apps.core.pagination import cursor_number, paginate
from apps.core.texts import json_read, texts_check
from apps.tenants.models import Organization
from tests.conftest import ApiClient

LISTS = [
    "/conversations",
    "/knowledge/sources",
    "/jobs",
    "/analysis/classifiers",
    "/analysis/translation/documents",
    "/analysis/translation/glossary",
    "/analysis/translation/memory",
]


def _encoded(plain: str) -> str:
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


CURSORS = {
    "nested": _encoded("[" * 100_000 + "]" * 100_000),
    "nested and short": _encoded("[" * 180 + "]" * 180),
    "superscript": "²",
    "arabic digits": "٣",
    "circled": "①",
    "minus": "-1",
    "huge": "9" * 400,
    "bytes": _encoded("\x00\x00"),
    "surrogate": _encoded('["\\ud800"]'),
    "surrogates": _encoded('["\\ud800", "\\ud800"]'),
    "infinity": _encoded("[Infinity]"),
    "numbers": _encoded("[" + "1" * 400 + "]"),
    "huge number": _encoded("1" * 370),
    "year 1": _encoded('["0001-01-01T00:00:00+14:00", "x"]'),
    "year 10000": _encoded('["10000-01-01T00:00:00+00:00", "x"]'),
}


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("cursor", CURSORS.values(), ids=CURSORS.keys())
def test_no_cursor_is_a_server_error(api: ApiClient, path: str, cursor: str) -> None:
    answer = api.get(f"{path}?cursor={cursor}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "cursor_invalid")


@pytest.mark.parametrize("text", ["²", "٣", "①", "-1", "+1", " 1", "1_0", "1.0", "9" * 16, "x", "0x1"])
def test_a_number_in_a_cursor_is_plain_digits(text: str) -> None:
    with pytest.raises(Invalid, match="cursor"):
        cursor_number(text, default=0)


def test_a_cursor_of_a_number_comes_back() -> None:
    assert [cursor_number(text, default=-1) for text in ("", "0", "17", "9" * 15)] == [-1, 0, 17, 10**15 - 1]


def test_cursors_of_20000_random_bytes_are_refused_or_read(tenant: Any) -> None:
    """Nothing but `Invalid` comes out of reading what others made."""
    source = random.Random(7)
    for _ in range(20_000):
        raw = bytes(source.choices(b'[]{}",:0129eE.-\\ud8nulltrue \x00\xff', k=source.randrange(60)))
        try:
            paginate(Organization.objects.all(), cursor=base64.urlsafe_b64encode(raw).decode() or "x", limit=1)
        except Invalid:
            continue


BAD = ["a\x00b", "\ud800", "x\udfff"]
BODIES: dict[str, Callable[[str], tuple[str, str, Any]]] = {
    "origins": lambda bad: ("POST", "/conversations/inboxes", {"name": "n", "allowed_origins": [bad]}),
    "name": lambda bad: ("POST", "/conversations/inboxes", {"name": bad}),
    "scopes": lambda bad: ("POST", "/accounts/api-keys", {"name": "n", "scopes": [bad]}),
    "key name": lambda bad: ("POST", "/accounts/api-keys", {"name": bad}),
    "contact": lambda bad: ("POST", "/conversations", {"contact": {"name": bad}}),
    "a name of a field": lambda bad: ("POST", "/conversations", {"contact": {bad: "x"}}),
    "settings": lambda bad: ("PATCH", "/accounts/settings", {"name": bad}),
    "memory": lambda bad: ("POST", "/analysis/translation/memory", {"units": [{"text": bad}]}),
    "classifier": lambda bad: ("POST", "/analysis/classifiers", {"name": bad, "labels": ["a", "b"]}),
    "option": lambda bad: ("POST", "/nlp/sentiment", {"text": "fine", "model": bad}),
    "options of a job": lambda bad: ("POST", "/jobs", {"task": "sentiment", "items": ["x"], "options": {"a": bad}}),
    "name of a job": lambda bad: ("POST", "/jobs", {"task": "sentiment", "items": ["x"], "name": bad}),
    "title": lambda bad: ("POST", "/knowledge/sources", {"title": bad, "text": "t"}),
    "collection": lambda bad: ("POST", "/knowledge/sources", {"title": "t", "text": "t", "collection": bad}),
    "question": lambda bad: ("POST", "/assistant/answer", {"question": bad}),
}


@pytest.mark.parametrize("bad", BAD, ids=ascii)
@pytest.mark.parametrize("made", BODIES.values(), ids=BODIES.keys())
def test_a_body_that_cannot_be_stored_is_refused(api: ApiClient, made: Any, bad: str) -> None:
    method, path, body = made(bad)
    answer = api.request(method, path, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "text_invalid")


@pytest.mark.parametrize(
    "path",
    [
        "/conversations?q=a%00b",
        "/conversations?label=%00",
        "/knowledge/search?q=%00",
        "/analysis/translation/memory?q=%00",
    ],
)
def test_a_query_that_cannot_be_stored_is_refused(api: ApiClient, path: str) -> None:
    answer = api.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "text_invalid")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/jobs", "name"),
        ("/jobs", "task"),
        ("/knowledge/sources", "collection"),
        ("/analysis/translation/documents", "target"),
    ],
)
def test_a_form_that_cannot_be_stored_is_refused(api: ApiClient, path: str, field: str) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    client = Client(headers={"Authorization": f"Bearer {api.secret}", "Host": "127.0.0.1"})
    answer = client.post(f"/api/v1{path}", {field: "a\x00b", "file": SimpleUploadedFile("a.txt", b"some text")})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "text_invalid")


@pytest.mark.parametrize(
    "raw",
    [b'"\xed\xa0\x80"', b"\xff\xfe\x22\x00\x22\x00", b"[" * 100_000, b'{"a": NaN}', b"\x00", b'"\x00"', b"", b"{"],
)
def test_what_is_no_json_in_utf8_is_malformed(raw: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        json_read(raw)
    assert caught.value.code == "malformed"


def test_a_whole_pair_and_an_escaped_backslash_pass() -> None:
    raw = rb'{"a": "\ud83d\ude00", "b": "\\u0000", "c": "\\ud800"}'
    assert json_read(raw) == {"a": "😀", "b": "\\u0000", "c": "\\ud800"}


def test_the_place_of_the_text_is_named() -> None:
    with pytest.raises(Invalid) as caught:
        texts_check({"a": [{"b": "fine"}, {"c": "\ud800"}]})
    assert caught.value.details == [{"field": "a.1.c", "message": "NUL or half of a surrogate pair"}]


def test_kept_fields_are_those_of_the_outermost_object_alone() -> None:
    texts_check({"text": "\x00"}, kept=("text",))
    with pytest.raises(Invalid):
        texts_check({"in": {"text": "\x00"}}, kept=("text",))


def test_an_answer_that_quotes_half_a_pair_is_an_answer(api: ApiClient) -> None:
    answer = api.post("/nlp/sentiment", {"text": "fine", "\ud800": 1})
    assert answer.status_code == 422
    assert json.loads(answer.content)["error"]["code"] == "text_invalid"
