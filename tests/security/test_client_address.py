"""G8: a client's address is the socket's, or what a trusted proxy says, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import RequestFactory

from apps.core.peers import client_address, client_network, network_of
from nlpsuite.edge import TrueClient
from nlpsuite.settings import env
from tests.served import exchange, served, status_of

PROXIES = ["10.0.0.0/8", "2001:db8:1::5/128", "127.0.0.1/32"]


@pytest.fixture(autouse=True)
def _proxies(settings: Any) -> None:
    settings.TRUSTED_PROXIES = PROXIES


def scope(peer: str | None, *forwarded: str | bytes) -> dict[str, Any]:
    values = [value.encode("latin-1") if isinstance(value, str) else value for value in forwarded]
    headers = [(b"x-forwarded-for", value) for value in values]
    return {"type": "http", "client": (peer, 5000) if peer else None, "headers": headers, "scheme": "http"}


CHAINS = [
    # peer, headers, the client
    ("203.0.113.9", [], "203.0.113.9"),
    ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
    ("10.0.0.2", [], "10.0.0.2"),
    ("10.0.0.2", ["198.51.100.1"], "198.51.100.1"),
    ("10.0.0.2", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
    ("10.0.0.2", ["1.1.1.1, 198.51.100.1, 10.0.0.3"], "198.51.100.1"),
    ("10.0.0.2", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
    ("10.0.0.2", ["10.9.9.9, 198.51.100.1"], "198.51.100.1"),
    ("10.0.0.2", ["10.0.0.7, 10.0.0.3"], "10.0.0.7"),
    ("10.0.0.2", ["198.51.100.1:4711"], "198.51.100.1"),
    ("10.0.0.2", ["2001:DB8:0::7"], "2001:db8::7"),
    ("10.0.0.2", ["[2001:db8::7]"], "2001:db8::7"),
    ("10.0.0.2", ["[2001:db8::7]:443"], "2001:db8::7"),
    ("10.0.0.2", ["::ffff:198.51.100.1"], "198.51.100.1"),
    ("::ffff:10.0.0.2", ["198.51.100.1"], "198.51.100.1"),
    ("2001:db8:1::5", ["198.51.100.1"], "198.51.100.1"),
    ("2001:db8:1:0::5", ["198.51.100.1"], "198.51.100.1"),
    ("2001:db8:1::6", ["198.51.100.1"], "2001:db8:1::6"),
    ("fe80::1%eth0", [], "fe80::1"),
    # junk ends the chain at the nearest trusted proxy
    ("10.0.0.2", [""], "10.0.0.2"),
    ("10.0.0.2", [","], "10.0.0.2"),
    ("10.0.0.2", ["unknown"], "10.0.0.2"),
    ("10.0.0.2", ["1.1.1.1, unknown"], "10.0.0.2"),
    ("10.0.0.2", ["1.1.1.1, _hidden, 10.0.0.3"], "10.0.0.3"),
    ("10.0.0.2", ["198.51.100.1:99999999"], "10.0.0.2"),
    ("10.0.0.2", ["198.51.100.1:x"], "10.0.0.2"),
    ("10.0.0.2", ["[2001:db8::7"], "10.0.0.2"),
    ("10.0.0.2", ["[2001:db8::7]x"], "10.0.0.2"),
    ("10.0.0.2", ["198.51.100.1/8"], "10.0.0.2"),
    ("10.0.0.2", ["198.51.100.1 1.1.1.1"], "10.0.0.2"),
    ("10.0.0.2", ["0x7f.1"], "10.0.0.2"),
    ("10.0.0.2", ["127.1"], "10.0.0.2"),
    ("10.0.0.2", ["١٢٧.0.0.1".encode()], "10.0.0.2"),
    ("10.0.0.2", [b"1.1.1.1\x85"], "10.0.0.2"),
    ("10.0.0.2", ["for=198.51.100.1"], "10.0.0.2"),
    ("10.0.0.2", ["1.1.1.1," * 5000 + "198.51.100.1"], "198.51.100.1"),
    (None, ["198.51.100.1"], "unknown"),
]


@pytest.mark.parametrize(("peer", "headers", "expected"), CHAINS)
def test_the_client_is_the_first_that_no_trusted_proxy_vouches_for(
    peer: str | None, headers: list[Any], expected: str
) -> None:
    assert client_address(scope(peer, *headers)) == expected


@pytest.mark.parametrize(("peer", "headers", "expected"), [row for row in CHAINS if row[0]])
def test_requests_and_sockets_have_the_same_answer(peer: str, headers: list[Any], expected: str) -> None:
    joined = ",".join(value if isinstance(value, str) else value.decode("latin-1") for value in headers)
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=joined)
    assert client_address(request) == expected


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("2001:db8:5:6:7:8:9:a", "2001:db8:5:6::/64"),
        ("2001:db8:5:6::", "2001:db8:5:6::/64"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("nonsense", "unknown"),
    ],
)
def test_addresses_of_ipv6_count_by_their_network(address: str, counted: str) -> None:
    assert network_of(address) == counted


def test_without_trusted_proxies_the_header_is_nothing(settings: Any) -> None:
    settings.TRUSTED_PROXIES = []
    assert client_network(scope("127.0.0.1", "198.51.100.1")) == "127.0.0.1"


@pytest.mark.parametrize("value", ["*", "proxy", "10.0.0.0/99", "10.0.0.1,nginx", "0.0.0.0/0/0"])
def test_a_setting_that_names_no_network_stops_the_start(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", value)
    with pytest.raises(ValueError, match="TRUSTED_PROXIES must list addresses"):
        env.env_networks("TRUSTED_PROXIES")


def test_a_setting_may_mix_addresses_and_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.5, 192.168.7.9/16 ,2001:db8::1")
    assert env.env_networks("TRUSTED_PROXIES") == ["10.0.0.5/32", "192.168.0.0/16", "2001:db8::1/128"]


async def mirror(given: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers with what it was told about the client."""
    if given["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1000})
        return
    headers = [name.decode() for name, _ in given["headers"]]
    told = json.dumps({"client": given["client"][0], "scheme": given["scheme"], "headers": headers}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": told})


@pytest.fixture(scope="module")
def port() -> Any:
    with served(TrueClient(mirror)) as found:
        yield found


def ask(port: int, *lines: bytes) -> bytes:
    return exchange(port, b"\r\n".join([b"GET / HTTP/1.1", b"Host: a", b"Connection: close", *lines, b"", b""]))


def told(answer: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer[answer.index(b"{") : answer.rindex(b"}") + 1])
    return found


def test_through_the_server_the_proxy_is_believed(port: int) -> None:
    answer = told(ask(port, b"X-Forwarded-For: 1.1.1.1", b"x-forwarded-for: 198.51.100.1", b"X-Forwarded-Proto: https"))
    assert (answer["client"], answer["scheme"]) == ("198.51.100.1", "https")


def test_through_the_server_others_are_not(port: int, settings: Any) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    answer = told(ask(port, b"X-Forwarded-For: 198.51.100.1", b"X-Forwarded-Proto: https"))
    assert (answer["client"], answer["scheme"]) == ("127.0.0.1", "http")
    assert "x-forwarded-proto" not in answer["headers"]


def test_an_underscore_does_not_make_another_header_of_it(port: int) -> None:
    answer = told(ask(port, b"X_Forwarded_For: 198.51.100.1"))
    assert answer["client"] == "127.0.0.1"
    assert "x_forwarded_for" not in answer["headers"]


FOUL = [0x00, 0x01, 0x08, 0x0B, 0x0C, 0x1C, 0x1D, 0x1E, 0x1F, 0x7F, 0x85]
NAMES = [b"X-Forwarded-For", b"Origin", b"Cookie", b"X-Anything"]
UPGRADE = [
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
]


@pytest.mark.parametrize("byte", FOUL)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("upgrade", [[], UPGRADE], ids=["request", "socket"])
def test_header_bytes_that_split_lines_are_answered_400(
    port: int, name: bytes, byte: int, upgrade: list[bytes]
) -> None:
    line = name + b": 198.51.100.1" + bytes([byte]) + b"x"
    head = [b"GET / HTTP/1.1", b"Host: a", *(upgrade or [b"Connection: close"]), line, b"", b""]
    assert status_of(exchange(port, b"\r\n".join(head))) == 400


def test_a_letter_of_utf_8_is_no_such_byte(port: int) -> None:
    assert status_of(ask(port, "Cookie: name=Å".encode())) == 200
    assert status_of(ask(port, "Cookie: name=\x85".encode())) == 400
