"""What the doors refuse is counted, and its answer carries the id of the request."""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from apps.core import refusals
from apps.knowledge.uploads import BodyLimit
from apps.model_api.gate import CallGate
from apps.model_api.openai.errors import refusal_body
from nlpsuite.door import CredentialsFirst
from nlpsuite.edge import TrueClient
from nlpsuite.socket_door import SocketDoor
from nlpsuite.storage_gate import StorageGate
from tests.served import answer, exchange, read_all, served, status_of

SHAPES = {"/v1/": refusal_body}
BIG = 64 * 1024 * 1024


async def reader(scope: Any, receive: Any, send: Any) -> None:
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": b"read"})


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, str]]:
    refusals.REFUSED.clear()
    return refusals.REFUSED


@pytest.fixture
def port(db: None) -> Iterator[int]:
    inner = StorageGate(BodyLimit(reader, upload_paths=(), shapes=SHAPES), upload_paths=(), shapes=SHAPES)
    with served(TrueClient(CredentialsFirst(CallGate(inner, shapes=SHAPES), shapes=SHAPES))) as found:
        yield found


def asked(path: str, *headers: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


def mark_of(told: bytes) -> str:
    found = re.search(rb"(?i)\r\nx-request-id: ([^\r]+)\r\n", told)
    return found.group(1).decode() if found else ""


REFUSED = [
    ("credentials", "api_key_invalid", asked("/api/v1/jobs", f"Content-Length: {BIG}", "Authorization: Bearer nls_no")),
    ("credentials", "unauthenticated", asked("/api/v1/jobs", f"Content-Length: {BIG}")),
    ("credentials", "api_key_invalid", asked("/v1/embeddings", "Content-Length: 2", "Authorization: Bearer nls_no")),
    ("credentials", "too_large", asked("/knowledge/add", f"Content-Length: {BIG}")),
    ("header", "header_invalid", asked("/", "X-Odd: a\x85b", method="GET")),
]


@pytest.mark.parametrize(("door", "code", "request_"), REFUSED)
def test_a_refusal_is_counted_and_carries_the_id_it_was_asked_with(
    port: int, counted: Counter[tuple[str, str]], door: str, code: str, request_: bytes
) -> None:
    told = answer(port, request_.replace(b"\r\n\r\n", b"\r\nX-Request-ID: mine-1\r\n\r\n"))
    assert status_of(told) >= 400
    assert mark_of(told) == "mine-1"
    assert counted == {(door, code): 1}


def test_an_id_that_is_not_plain_is_replaced_and_stands_in_the_body(port: int) -> None:
    told = answer(port, asked("/api/v1/jobs", f"Content-Length: {BIG}", "X-Request-ID: a b<script>"))
    mark = mark_of(told)
    assert re.fullmatch(r"[0-9a-f]{32}", mark)
    assert f'"request_id": "{mark}"'.encode() in told


def test_slow_bodies_and_too_many_calls_are_counted(
    port: int, counted: Counter[tuple[str, str]], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.UNKNOWN_BODY_S = 0.2
    told = answer(port, asked("/accounts/login/", "Content-Length: 100") + b"login=")
    assert (status_of(told), bool(mark_of(told))) == (408, True)
    settings.API_MAX_IN_FLIGHT = 0
    monkeypatch.setattr("nlpsuite.door.KeyBook.knows", _right)
    told = answer(port, asked("/v1/embeddings", "Content-Length: 2", "Authorization: Bearer nls_right"))
    assert (status_of(told), bool(mark_of(told))) == (429, True)
    assert counted == {("credentials", "too_slow"): 1, ("calls", "overloaded"): 1}


async def _right(book: Any, secret: str, address: str) -> bool:
    return True


def test_heads_that_are_cut_are_counted(port: int, counted: Counter[tuple[str, str]], settings: Any) -> None:
    settings.REQUEST_HEAD_S, settings.REQUEST_HEAD_BYTES = 0.2, 2000
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost:")
        slow = read_all(connection)
    assert (status_of(slow), bool(mark_of(slow))) == (408, True)
    assert status_of(exchange(port, asked("/", "X-Long: " + "x" * 3000, method="GET"))) == 400
    assert status_of(exchange(port, b"no such thing\r\n\r\n")) == 400
    assert counted == {("connections", code): 1 for code in ("head_too_slow", "head_too_large", "head_invalid")}


def test_connections_beyond_the_bound_are_counted(port: int, counted: Counter[tuple[str, str]], settings: Any) -> None:
    settings.CONNECTIONS_PER_ADDRESS = 2
    opened = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(4)]
    assert [read_all(one) for one in opened[:2]] == [b"", b""]
    assert counted == {("connections", "gave_way"): 2}
    for one in opened:
        one.close()


async def test_sockets_beyond_the_bound_are_counted(counted: Counter[tuple[str, str]], settings: Any) -> None:
    settings.SOCKETS = 0
    scope = {"type": "websocket", "path": "/ws/widget", "headers": [], "client": ("198.51.100.1", 1)}
    talk = ApplicationCommunicator(SocketDoor(reader), scope)
    await talk.send_input({"type": "websocket.connect"})
    assert (await talk.receive_output(60))["type"] == "websocket.accept"
    assert (await talk.receive_output(60))["code"] == 4429
    assert counted == {("sockets", "too_many"): 1}


def test_metrics_tell_refusals_by_door_and_code(db: None, port: int) -> None:
    answer(port, REFUSED[0][2])
    text = Client(headers={"Host": "127.0.0.1"}).get("/metrics").content.decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    (sample,) = families["nlpsuite_web_refusals"].samples
    assert (sample.labels, sample.value) == ({"door": "credentials", "code": "api_key_invalid"}, 1)
