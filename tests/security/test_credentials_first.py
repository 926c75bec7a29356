"""H1: who calls is looked at before what they send is received, on every route."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from apps.accounts.services import api_key_create, api_key_revoke, member_create
from apps.model_api.gate import CallGate
from apps.model_api.libretranslate.errors import refusal_body as libretranslate_refusal
from apps.model_api.openai.errors import refusal_body as openai_refusal
from apps.model_api.tei.errors import refusal_body as tei_refusal
from apps.tenants.services import organization_create
from nlpsuite.api import api as product_api
from nlpsuite.door import CredentialsFirst, KeyBook
from nlpsuite.edge import TrueClient
from tests.served import answer, exchange, read_all, served, status_of

SHAPES = {"/v1/": openai_refusal, "/tei": tei_refusal, "/libretranslate": libretranslate_refusal}
BIG = 64 * 1024 * 1024


class Reader:
    """Reads a whole body, as Django does before any view is asked."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.started = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.started += 1
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b"read"})


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def port(db: None, reader: Reader) -> Iterator[int]:
    with served(TrueClient(CredentialsFirst(CallGate(reader, shapes=SHAPES), shapes=SHAPES))) as found:
        yield found


@pytest.fixture
def organization(transactional_db: None) -> Any:
    return organization_create(name="Acme", slug="acme")


@pytest.fixture
def key(organization: Any) -> str:
    return str(api_key_create(tenant_id=organization.id, name="test")[1])


def head(path: str, *headers: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


def with_body(path: str, body: bytes, *headers: str) -> bytes:
    return head(path, f"Content-Length: {len(body)}", *headers) + body


def error_of(told: bytes) -> Any:
    return json.loads(told.split(b"\r\n\r\n", 1)[1])["error"]


def concrete(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "0", path)


WRITING = sorted(
    {
        f"/api/v1{concrete(path)}"
        for path, methods in product_api.get_openapi_schema(path_prefix="")["paths"].items()
        for method in methods
        if method in {"post", "put", "patch"}
    }
    | {"/v1/chat/completions", "/v1/embeddings", "/tei/embed", "/tei/rerank", "/api/v1/no/such/route"}
)


@pytest.mark.parametrize("given", [[], ["Authorization: Bearer nls_invented"]], ids=["no-key", "invented-key"])
def test_no_route_receives_a_large_body_of_a_stranger(port: int, reader: Reader, given: list[str]) -> None:
    """The answer is there before a single byte of the body was sent."""
    asked = {path: answer(port, head(path, f"Content-Length: {BIG}", *given)) for path in WRITING}
    assert len(asked) > 30
    assert {path: told for path, told in asked.items() if status_of(told) != 401} == {}
    assert reader.started == 0


PAGES = ["/knowledge/add", "/studio/read", "/accounts/login/", "/", "/csp", "/no/such/page", "/widget/frame"]


@pytest.mark.parametrize("cookie", [[], ["Cookie: nlpsuite_session=invented"], ['Cookie: ;=;";nlpsuite_session']])
def test_no_page_receives_a_large_body_of_a_stranger(port: int, reader: Reader, cookie: list[str]) -> None:
    asked = {path: status_of(answer(port, head(path, f"Content-Length: {BIG}", *cookie))) for path in PAGES}
    assert asked == dict.fromkeys(PAGES, 413)
    assert reader.started == 0


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/knowledge/add", "/v1/embeddings"])
def test_a_stranger_who_does_not_say_how_much_is_cut_at_a_form(port: int, reader: Reader, path: str) -> None:
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(head(path, "Transfer-Encoding: chunked"))
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        connection.sendall(chunk * 4)
        assert status_of(read_all(connection)) in {401, 413}
    assert reader.started == 0


def test_a_get_with_a_body_is_no_way_around(port: int, reader: Reader) -> None:
    told = answer(port, head("/", f"Content-Length: {BIG}", method="GET"))
    assert (status_of(told), reader.started) == (413, 0)


def test_a_key_lets_the_whole_body_in(port: int, reader: Reader, key: str) -> None:
    body = b"x" * 1_000_000
    assert status_of(exchange(port, with_body("/api/v1/jobs", body, f"Authorization: Bearer {key}"))) == 200
    assert reader.bodies == [body]


def test_a_revoked_key_is_a_strangers(port: int, reader: Reader, organization: Any) -> None:
    row, secret = api_key_create(tenant_id=organization.id, name="old")
    api_key_revoke(tenant_id=organization.id, key_id=row.id, actor="t")
    told = answer(port, head("/v1/embeddings", f"Content-Length: {BIG}", f"Authorization: Bearer {secret}"))
    assert (status_of(told), error_of(told)["code"], reader.started) == (401, "invalid_api_key", 0)


def test_a_session_lets_the_whole_body_in_and_ends_with_the_sign_out(
    port: int, reader: Reader, organization: Any
) -> None:
    user = member_create(
        tenant_id=organization.id, email="a@acme.example", name="A", role="owner", password="a long password"
    )
    browser = Client(headers={"Host": "127.0.0.1"})
    browser.force_login(user, "django.contrib.auth.backends.ModelBackend")
    body, cookie = b"x" * 500_000, f"Cookie: nlpsuite_session={browser.cookies['nlpsuite_session'].value}"
    assert status_of(exchange(port, with_body("/knowledge/add", body, cookie))) == 200
    browser.logout()
    assert status_of(exchange(port, head("/knowledge/add", f"Content-Length: {BIG}", cookie))) == 413
    assert reader.bodies == [body]


def test_a_neighbours_odd_cookie_hides_no_session(port: int, reader: Reader, organization: Any) -> None:
    """Cookies are read as Django reads them: one that another product set may be anything."""
    user = member_create(
        tenant_id=organization.id, email="a@acme.example", name="A", role="owner", password="a long password"
    )
    browser = Client(headers={"Host": "127.0.0.1"})
    browser.force_login(user, "django.contrib.auth.backends.ModelBackend")
    cookie = f'Cookie: prefs={{"a": "b"}}; nlpsuite_session={browser.cookies["nlpsuite_session"].value}'
    assert status_of(exchange(port, with_body("/knowledge/add", b"x" * 500_000, cookie))) == 200


@pytest.mark.parametrize("values", [['a="' + "\\" * 300 + '"'], ["a=" + "\\" * 200, "b=" + "\\" * 200]])
def test_cookies_that_take_long_to_read_are_not_read(port: int, reader: Reader, values: list[str]) -> None:
    told = answer(port, head("/", *(f"Cookie: {value}" for value in values), method="GET"))
    assert (status_of(told), error_of(told)["code"], reader.started) == (400, "header_invalid", 0)
    few = 'Cookie: a="' + "\\" * 100 + '"'
    assert status_of(exchange(port, head("/", few, method="GET"))) == 200


def test_a_strangers_form_is_received_and_passed_on(port: int, reader: Reader) -> None:
    body = b"login=a%40acme.example&password=x"
    assert status_of(exchange(port, with_body("/accounts/login/", body))) == 200
    assert reader.bodies == [body]


def test_a_strangers_slow_form_is_given_up(port: int, reader: Reader, settings: Any) -> None:
    settings.UNKNOWN_BODY_S = 0.3
    told = answer(port, head("/accounts/login/", "Content-Length: 100") + b"login=")
    assert (status_of(told), reader.started) == (408, 0)


def test_the_oldest_unfinished_form_of_an_address_gives_way(port: int, reader: Reader, settings: Any) -> None:
    settings.UNKNOWN_BODIES_PER_ADDRESS, settings.UNKNOWN_BODY_S = 3, 60
    opened = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(6)]
    for one in opened:
        one.sendall(head("/accounts/login/", "Content-Length: 100") + b"login=")
    assert [status_of(read_all(one)) for one in opened[:3]] == [408] * 3
    assert status_of(exchange(port, with_body("/accounts/login/", b"login=a"))) == 200
    for one in opened:
        one.close()


def test_a_refused_sender_reads_why(port: int) -> None:
    """A connection that is closed in the face of somebody who still sends loses the answer on the way."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(head("/api/v1/jobs", f"Content-Length: {BIG}", "Authorization: Bearer nls_invented"))
        for _ in range(16):
            connection.sendall(b"x" * 65536)
        assert status_of(connection.recv(65536)) == 401


# -- LibreTranslate: the key stands within the body ------------------------------------------------------------------
def form(*parts: tuple[str, bytes], end: bool = True) -> tuple[bytes, str]:
    made = b""
    for name, value in parts:
        file = '; filename="a.txt"' if name == "file" else ""
        made += f'--b0\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + value + b"\r\n"
    return made + (b"--b0--\r\n" if end else b""), "Content-Type: multipart/form-data; boundary=b0"


FILE = b"y" * 5_000_000
JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"


def libre(port: int, body: bytes, *headers: str, path: str = "/libretranslate/translate_file") -> int:
    return status_of(exchange(port, with_body(path, body, *headers)))


def test_a_key_before_the_file_lets_it_in(port: int, reader: Reader, key: str) -> None:
    body, kind = form(("api_key", key.encode()), ("file", FILE))
    assert libre(port, body, kind) == 200
    assert reader.bodies == [body]


def test_a_key_in_the_header_lets_it_in(port: int, reader: Reader, key: str) -> None:
    body, kind = form(("file", FILE))
    assert libre(port, body, kind, f"Authorization: Bearer {key}") == 200


def test_a_key_behind_a_small_file_lets_it_in(port: int, reader: Reader, key: str) -> None:
    body, kind = form(("file", b"y" * 500_000), ("api_key", key.encode()))
    assert libre(port, body, kind) == 200
    assert reader.bodies == [body]


@pytest.mark.parametrize(
    ("parts", "status"),
    [([("file", FILE)], 400), ([("api_key", b"invented"), ("file", FILE)], 403)],
    ids=["no-key", "invented-key"],
)
def test_a_strangers_file_is_not_received(
    port: int, reader: Reader, parts: list[tuple[str, bytes]], status: int
) -> None:
    body, kind = form(*parts)
    assert (libre(port, body, kind), reader.started) == (status, 0)


@pytest.mark.parametrize("kind", [JSON, FORM])
def test_keys_of_small_bodies_name_their_caller(transactional_db: None, key: str, kind: str, reader: Reader) -> None:
    seen: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["caller"])
        await reader(scope, receive, send)

    right = json.dumps({"api_key": key, "q": "x"}) if kind == JSON else f"q=x&api_key={key}"
    wrong = right.replace(key, "invented")
    with served(CredentialsFirst(inner, shapes=SHAPES)) as port:
        statuses = [libre(port, body.encode(), kind, path="/libretranslate/translate") for body in (right, wrong)]
    assert statuses == [200, 200]  # the view says 403, in its own words
    assert [caller is not None for caller in seen] == [True, False]


@pytest.mark.parametrize(
    "body",
    [b"-" * 2_000_000, b'name="api_key"' * 140_000, b"\r\n\r\n" * 500_000, b'{"a":' * 400_000, b"[" * 2_000_000],
)
def test_a_body_made_to_be_searched_is_searched_quickly(body: bytes) -> None:
    from apps.model_api.libretranslate.fields import key_within

    began = time.process_time()
    for kind in (b"application/json", b"multipart/form-data; boundary=b0", b"application/x-www-form-urlencoded"):
        assert key_within(body, kind, b"") == ""
    assert time.process_time() - began < 2


# -- who takes whose place -------------------------------------------------------------------------------------------
def test_invented_keys_take_no_place_of_a_valid_one(port: int, key: str, settings: Any) -> None:
    """300 connections that began a call with an invented key and go on slowly, and one key that is right."""
    settings.API_MAX_IN_FLIGHT = 4
    slow = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(300)]
    for number, one in enumerate(slow):
        path = ("/v1/embeddings", "/tei/embed", "/libretranslate/translate")[number % 3]
        one.sendall(head(path, "Content-Length: 50000", f"Authorization: Bearer nls_{number}") + b"{")
    call = with_body("/v1/embeddings", b"{}", f"Authorization: Bearer {key}", "Connection: close")
    assert [status_of(exchange(port, call)) for _ in range(40)] == [200] * 40
    for one in slow:
        one.close()


def test_calls_of_a_valid_key_still_have_a_bound(port: int, key: str, settings: Any) -> None:
    settings.API_MAX_IN_FLIGHT_PER_KEY = 4
    held = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(4)]
    for one in held:
        one.sendall(head("/v1/embeddings", "Content-Length: 50000", f"Authorization: Bearer {key}") + b"{")
    statuses: list[int] = []
    deadline = time.monotonic() + 20
    call = with_body("/v1/embeddings", b"{}", f"Authorization: Bearer {key}")
    while 429 not in statuses and time.monotonic() < deadline:
        statuses.append(status_of(exchange(port, call)))
    assert 429 in statuses
    for one in held:
        one.close()


async def test_a_wave_of_invented_keys_waits_in_its_own_line(transactional_db: None, key: str) -> None:
    """A key that was right before is not behind the look-ups of others at its address."""
    book, released = KeyBook(), threading.Event()
    assert await book.knows(key, "198.51.100.1")
    book._fresh = type(book._fresh)(dict.fromkeys(book._fresh, 0.0))  # not fresh any more
    blocked = [asyncio.ensure_future(book.in_thread(released.wait)) for _ in range(2)]
    line = [asyncio.ensure_future(book.knows(f"nls_{n}", "198.51.100.1")) for n in range(200)]
    assert await asyncio.wait_for(book.knows(key, "198.51.100.1"), 20)
    released.set()
    assert await asyncio.gather(*line) == [False] * 200
    await asyncio.gather(*blocked)


async def test_a_wave_of_invented_sessions_waits_in_its_own_line(
    transactional_db: None, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The door has four threads: one address's sessions do not take them all."""
    released, at_work = threading.Event(), threading.Semaphore(0)

    def look(session: str) -> bool:
        at_work.release()
        return not released.wait(60)

    monkeypatch.setattr("nlpsuite.door._session_user", look)
    door = CredentialsFirst(None, shapes=SHAPES)
    scope = {"headers": [(b"cookie", b"nlpsuite_session=invented")]}
    wave = [asyncio.ensure_future(door._signed_in(scope, "198.51.100.1")) for _ in range(200)]
    for _ in range(2):
        assert await asyncio.to_thread(at_work.acquire, timeout=60)
    assert await asyncio.wait_for(door._keys.knows(key, "198.51.100.2"), 60)
    released.set()
    assert await asyncio.gather(*wave) == [False] * 200


async def test_a_wrong_key_is_looked_up_once_and_what_is_kept_is_bounded(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlpsuite.door._KEYS_KEPT", 3)
    book, asked = KeyBook(), []
    kept = book._ask

    async def counting(digest: str, secret: str) -> bool:
        asked.append(secret)
        return await kept(digest, secret)

    monkeypatch.setattr(book, "_ask", counting)
    assert [await book.knows("nls_invented", "198.51.100.1") for _ in range(5)] == [False] * 5
    assert asked == ["nls_invented"]
    for number in range(10):
        await book.knows(f"nls_{number}", "198.51.100.1")
    assert len(book._wrong) == 3
