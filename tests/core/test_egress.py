"""The outbound client reaches public addresses only: proved by a listener and a hook on connect, not by error texts."""

from __future__ import annotations

import asyncio
import gzip
import socket
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any

import httpx
import pytest

from apps.core import egress
from apps.core.errors import AppError, DeadlineExceeded, Invalid, TooLarge, Unavailable

PRIVATE_V4 = [
    "127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.20.10.2",
    "172.31.255.255", "192.168.0.1", "192.168.255.255", "169.254.169.254", "169.254.0.1", "169.254.170.2", "100.64.0.1",
    "100.100.100.200", "100.127.255.255", "0.0.0.0", "0.1.2.3", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1",
    "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1",
    "255.255.255.255",
]  # fmt: skip
PRIVATE_V6 = [
    "::1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1",
    "::127.0.0.1", "::7f00:1", "64:ff9b::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b:1::7f00:1",
    "2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1::", "2001::1", "2001:db8::1", "3fff::1", "5f00::1", "100::1",
    "fc00::1", "fd00::1", "fd00:ec2::254", "fdff:ffff::1", "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff05::2",
    "0:0:0:0:0:0:0:1", "0000:0000:0000:0000:0000:0000:0000:0001", "::ffff:0a00:0001", "::ffff:c0a8:1",
]  # fmt: skip
ODD_HOSTS = [
    "2130706433", "0x7f000001", "0x7f.1", "0x7f.0x0.0x0.0x1", "017700000001", "0177.0.0.1", "0177.0.0.01", "127.1",
    "127.0.1", "127.0.0.1.", "127.000.000.001", "3232235521", "0xA9FEA9FE", "2852039166", "169.254.43518", "0",
    "0.0", "00.00.00.00", "4294967295", "1.1.1.1.1", "256.256.256.256", "999.1.1.1", "0x", "08.8.8.8", "134744072",
    "0x08080808", "127。0。0。1", "１２７.０.０.１", "①②⑦.⓪.⓪.①", "127%2e0%2e0%2e1", "%31%32%37.0.0.1", "localhost",
    "localhost.", "LOCALHOST", "LocalHost.", "ⓛocalhost", "locaⅼhost", "[::1%25lo]", "[fe80::1%25eth0]", "[::1%lo]",
    "[v1.127.0.0.1]", "[::ffff:127.0.0.1", "::1", "[]", "", ".", "..", "-", "a..b", "exa mple.com", "exam\tple.com",
    "exam\nple.com", "example.com\x00.evil.test", "a" * 64 + ".test", ("a" * 60 + ".") * 5 + "test", "xn--", "~",
]  # fmt: skip
WHOLE = [
    "file:///etc/passwd", "file://127.0.0.1/etc/passwd", "gopher://127.0.0.1:{port}/_GET", "ftp://127.0.0.1:{port}/",
    "dict://127.0.0.1:{port}/", "ldap://127.0.0.1:{port}/", "data:text/plain,hi", "javascript:alert(1)", "jar:http://a/",
    "unix:///tmp/socket", "ws://127.0.0.1:{port}/", "//127.0.0.1:{port}/", "127.0.0.1:{port}", "http:127.0.0.1:{port}",
    "http:/127.0.0.1:{port}/", "http:///127.0.0.1:{port}/", "http://", "", " ", "http://user@127.0.0.1:{port}/",
    "http://user:pass@127.0.0.1:{port}/", "http://public.test@127.0.0.1:{port}/", "http://127.0.0.1:{port}@public.test/",
    "http://public.test\\@127.0.0.1:{port}/", "http://@127.0.0.1:{port}/",
    "http://127.0.0.1\\@public.test:{port}/", "http:\\\\127.0.0.1:{port}\\", "http://public.test:22/",
    "http://public.test:25/", "http://public.test:3306/", "http://public.test:5432/", "http://public.test:6379/",
    "http://public.test:11211/", "http://public.test:9200/", "http://public.test:0/", "http://public.test:65536/",
    "http://public.test:-1/", "http://public.test:80a/", "http://public.test:８０８１/", "http://internal.test:{port}/",
    "http://mixed.test:{port}/", "http://mapped.test:{port}/", "http://metadata.test/latest/", "http://nowhere.test/",
    "http://empty.test/", "https://internal.test/", "https://internal.test:{port}/", "http://public.test/\r\nHost: x",
    "http://public.test/ HTTP/1.1", "http://public.test/" + "a" * 3000, "HTTP://127.0.0.1:{port}/",
    "hTTps://127.0.0.1:{port}/", "http://internal.test.:{port}/", "http://INTERNAL.test:{port}/",
]  # fmt: skip
URLS = [
    *(f"http://{address}:{{port}}/" for address in PRIVATE_V4),
    *(f"http://[{address}]:{{port}}/" for address in PRIVATE_V6),
    *(f"http://{host}:{{port}}/" for host in ODD_HOSTS),
    *WHOLE,
]
NAMES = {
    # Public as far as the check goes; nothing is behind it, and reaching it would be seen by the hook.
    "public.test": ["93.184.215.14"],
    "internal.test": ["127.0.0.1"],
    "mixed.test": ["93.184.215.14", "127.0.0.1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "metadata.test": ["169.254.169.254"],
    "empty.test": [],
    "good.test": ["127.0.0.1"],
}

_connects: list[Any] = []
_watching = threading.Event()


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    # psycopg and Redis use Unix sockets, whose address is a string.
    if event == "socket.connect" and _watching.is_set() and isinstance(arguments[1], tuple):
        _connects.append(arguments[1])


sys.addaudithook(_audit)

Answer = tuple[int, dict[str, str], bytes]


class Server:
    """A loopback web server that counts connections and answers from a table."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[tuple[str, str, str]] = []
        self.answers: dict[str, Answer | Callable[[BaseHTTPRequestHandler], None]] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append((self.command, self.path, self.headers.get("Host", "")))
                answer = outer.answers.get(self.path, (200, {}, b"hello"))
                if callable(answer):
                    answer(self)
                    return
                status, headers, body = answer
                self.send_response(status)
                for name, value in {"Content-Type": "text/html", "Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                return

        class Counting(ThreadingHTTPServer):
            def verify_request(self, request: Any, client_address: Any) -> bool:
                outer.connections += 1
                return True

            def handle_error(self, request: Any, client_address: Any) -> None:
                return

        self._server = Counting(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Server]:
    """The listener; its port passes the port check, so that only the check of addresses stands before it."""
    running = Server()
    settings.EGRESS_ALLOW_CIDRS = []
    monkeypatch.setattr(egress, "PORTS", egress.PORTS | {running.port})
    real = egress.resolve

    def resolve(host: str, port: int) -> list[Any]:
        if host == "nowhere.test":
            raise socket.gaierror("unknown")
        return [ip_address(text) for text in NAMES[host]] if host in NAMES else real(host, port)

    monkeypatch.setattr(egress, "resolve", resolve)
    _connects.clear()
    _watching.set()
    yield running
    _watching.clear()
    running.close()


@pytest.fixture
def allowed(server: Server, settings: Any) -> Server:
    """The listener, with loopback opened by the operator."""
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    return server


def test_the_list_is_long_enough() -> None:
    assert len(set(URLS)) >= 150


@pytest.mark.parametrize("url", URLS)
def test_address_that_is_not_public_is_refused_without_a_connection(server: Server, url: str) -> None:
    with pytest.raises(Invalid) as caught:
        egress.fetch(url.format(port=server.port), max_bytes=1000, timeout_s=3)
    assert (caught.value.code, caught.value.message) == ("address_refused", egress.refused().message)
    assert (_connects, server.connections) == ([], 0)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "[::1]", "[64:ff9b::a00:1]"])
def test_redirect_to_a_private_address_is_refused(
    allowed: Server, settings: Any, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.5/32"]
    monkeypatch.setitem(NAMES, "good.test", ["127.0.0.5"])
    monkeypatch.setattr(egress.httpcore.SyncBackend, "connect_tcp", _connect_to(allowed.port))
    allowed.answers["/"] = (302, {"Location": f"http://{address}:{allowed.port}/secret"}, b"")
    with pytest.raises(Invalid) as caught:
        egress.fetch(f"http://good.test:{allowed.port}/", max_bytes=1000)
    assert caught.value.code == "address_refused"
    assert [path for _, path, _ in allowed.requests] == ["/"]


def _connect_to(port: int) -> Callable[..., Any]:
    real = egress.httpcore.SyncBackend.connect_tcp

    def connect(self: Any, host: str, _port: int, **options: Any) -> Any:
        return real(self, "127.0.0.1", port, **options)

    return connect


def test_name_that_changes_its_address_is_asked_once_a_connection(
    allowed: Server, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Public at the check, private at the next look-up: the connection goes to what was checked."""
    answers = iter([[ip_address("93.184.215.14")], [ip_address("127.0.0.1")]])
    asked: list[str] = []
    reached: list[str] = []

    def resolve(host: str, port: int) -> list[Any]:
        asked.append(host)
        return next(answers)

    def connect(self: Any, host: str, port: int, **options: Any) -> Any:
        reached.append(host)
        raise egress.httpcore.ConnectError("nothing is there")

    settings.EGRESS_ALLOW_CIDRS = []
    monkeypatch.setattr(egress, "resolve", resolve)
    monkeypatch.setattr(egress.httpcore.SyncBackend, "connect_tcp", connect)
    with pytest.raises(Unavailable):
        egress.fetch("http://rebind.test/", max_bytes=1000)
    assert (asked, reached, allowed.connections) == (["rebind.test"], ["93.184.215.14"], 0)


def test_second_request_to_a_rebound_name_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress, "resolve", lambda host, port: [ip_address("127.0.0.1")])
    with pytest.raises(Invalid):
        egress.fetch(f"http://rebind.test:{server.port}/", max_bytes=1000)
    assert server.connections == 0


def test_proxy_variables_are_ignored(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.port}")
    with pytest.raises(Invalid):
        egress.fetch("http://internal.test/", max_bytes=1000)
    assert server.connections == 0


def test_allowed_range_opens_address_and_port(allowed: Server) -> None:
    got = egress.fetch(f"http://127.0.0.1:{allowed.port}/x", max_bytes=1000)
    assert (got.status, got.body, got.content_type, got.url) == (
        200, b"hello", "text/html", f"http://127.0.0.1:{allowed.port}/x",
    )  # fmt: skip


def test_host_header_keeps_the_name_while_the_connection_is_pinned(allowed: Server) -> None:
    egress.fetch(f"http://good.test:{allowed.port}/", max_bytes=1000)
    assert allowed.requests == [("GET", "/", f"good.test:{allowed.port}")]


def test_tls_announces_the_name_while_the_connection_is_pinned(allowed: Server) -> None:
    seen: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def hear() -> None:
        with listener.accept()[0] as client:
            seen.append(client.recv(4096))

    thread = threading.Thread(target=hear, daemon=True)
    thread.start()
    with pytest.raises(Unavailable):
        egress.fetch(f"https://good.test:{listener.getsockname()[1]}/", max_bytes=1000)
    thread.join(5)
    listener.close()
    assert b"good.test" in seen[0]


def test_redirects_are_followed_and_named(allowed: Server) -> None:
    allowed.answers["/a"] = (301, {"Location": "/b"}, b"")
    allowed.answers["/b"] = (200, {}, b"there")
    got = egress.fetch(f"http://127.0.0.1:{allowed.port}/a", max_bytes=1000)
    assert (got.url.rpartition("/")[2], got.body) == ("b", b"there")


def test_sixth_redirect_is_not_followed(allowed: Server) -> None:
    allowed.answers["/loop"] = (302, {"Location": "/loop"}, b"")
    with pytest.raises(Unavailable):
        egress.fetch(f"http://127.0.0.1:{allowed.port}/loop", max_bytes=1000)
    assert len(allowed.requests) == 6


def test_single_request_follows_no_redirect(allowed: Server) -> None:
    allowed.answers["/a"] = (307, {"Location": "/b"}, b"")
    got = egress.egress_request("POST", f"http://127.0.0.1:{allowed.port}/a", content=b"{}", headers={"X-A": "1"})
    assert (got.status, [path for _, path, _ in allowed.requests]) == (307, ["/a"])


def test_body_is_cut_at_the_limit(allowed: Server) -> None:
    allowed.answers["/"] = (200, {}, b"x" * 5000)
    with pytest.raises(TooLarge):
        egress.fetch(f"http://127.0.0.1:{allowed.port}/", max_bytes=4999)


def test_endless_body_is_cut_at_the_limit(allowed: Server) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(10_000):
            handler.wfile.write(b"y" * 65536)

    allowed.answers["/"] = endless
    with pytest.raises(TooLarge):
        egress.fetch(f"http://127.0.0.1:{allowed.port}/", max_bytes=1_000_000)


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_body_is_bounded_after_decompression(
    allowed: Server, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    bomb = pack(b"\0" * 50_000_000)
    allowed.answers["/"] = (200, {"Content-Encoding": encoding}, bomb)
    with pytest.raises(TooLarge):
        egress.fetch(f"http://127.0.0.1:{allowed.port}/", max_bytes=1_000_000)


def test_compressed_body_is_read(allowed: Server) -> None:
    allowed.answers["/"] = (200, {"Content-Encoding": "gzip"}, gzip.compress(b"packed"))
    assert egress.fetch(f"http://127.0.0.1:{allowed.port}/", max_bytes=1000).body == b"packed"


def test_slow_answer_ends_at_the_deadline(allowed: Server) -> None:
    def slow(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"z")
            handler.wfile.flush()
            time.sleep(0.1)

    allowed.answers["/"] = slow
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        egress.fetch(f"http://127.0.0.1:{allowed.port}/", max_bytes=1000, timeout_s=0.5)
    assert time.monotonic() - started < 2


def test_huge_headers_are_refused(allowed: Server) -> None:
    allowed.answers["/"] = (200, {"X-Long": "h" * 300_000}, b"")
    with pytest.raises(Unavailable):
        egress.fetch(f"http://127.0.0.1:{allowed.port}/", max_bytes=1000)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://[::1]/", "ftp://a.test/", "http://a.test:22/", "nonsense"]
)
def test_early_check_refuses_what_can_be_read(settings: Any, url: str) -> None:
    settings.EGRESS_ALLOW_CIDRS = []
    with pytest.raises(AppError) as caught:
        egress.url_check(url)
    assert caught.value.code == "address_refused"


def test_early_check_gives_the_canonical_form(settings: Any) -> None:
    settings.EGRESS_ALLOW_CIDRS = []
    assert egress.url_check("https://Bücher.example./a?b=c#d") == "https://xn--bcher-kva.example/a?b=c"


def ask_model_server(base: str, url: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=egress.model_server_transport(base), follow_redirects=True) as client:
            return await client.get(url)

    return asyncio.run(ask())


def test_model_server_is_reached_at_a_private_address(server: Server) -> None:
    base = f"http://127.0.0.1:{server.port}/v1"
    assert ask_model_server(base, f"{base}/models").text == "hello"
    assert [path for _, path, _ in server.requests] == ["/v1/models"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{other}/",
        "http://127.0.0.2:{port}/",
        "http://localhost:{port}/",
        "https://127.0.0.1:{port}/",
        "http://[::1]:{port}/",
        "http://127.0.0.1/",
    ],
)
def test_transport_of_one_model_server_reaches_no_other_place(server: Server, url: str) -> None:
    with pytest.raises(Invalid) as caught:
        ask_model_server(f"http://127.0.0.1:{server.port}/v1", url.format(port=server.port, other=server.port + 1))
    assert (caught.value.code, _connects, server.connections) == ("address_refused", [], 0)


def test_model_server_cannot_redirect_elsewhere(server: Server) -> None:
    server.answers["/v1/models"] = (302, {"Location": "http://169.254.169.254/latest/"}, b"")
    base = f"http://127.0.0.1:{server.port}/v1"
    with pytest.raises(Invalid):
        ask_model_server(base, f"{base}/models")
    assert server.connections == 1


def test_model_server_is_reached_without_the_proxies_of_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9/")
    base = f"http://127.0.0.1:{server.port}"
    assert ask_model_server(base, base).status_code == 200
