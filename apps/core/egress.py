"""The only outbound HTTP client: for addresses that people and documents name.

Every name is resolved here, every address it has must be public, and the connection is made to a checked address, so a
name that changes its mind between check and connect gains nothing. Redirects pass the same gate. All refusals look
alike, or the answers would map the network behind us.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import httpcore
import httpx
import idna
from django.conf import settings

from apps.core.errors import DeadlineExceeded, Invalid, TooLarge, Unavailable

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PORTS = frozenset({80, 443, 8080, 8443})
MAX_REDIRECTS = 5
CONNECT_TIMEOUT_S = 5.0
TOTAL_TIMEOUT_S = 20.0
MAX_URL_CHARS = 2000
USER_AGENT = "nlpsuite/1.0 (+knowledge fetcher)"

# IANA special-purpose registries; Python's own tables lag behind them, and do not know transition prefixes that carry
# an IPv4 address (NAT64, 6to4, Teredo, IPv4-compatible).
_SPECIAL: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "::/96", "::ffff:0:0/96",
        "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48",
        "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip

_BAD_URL = re.compile(r"[\x00-\x20\x7f-\xa0\\]")
_NUMERIC_LABEL = re.compile(r"(?:\d+|0[xX][0-9a-fA-F]*)$")


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a GET gave: the address after redirects, status, content type header, body after decompression."""

    url: str
    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class EgressResponse:
    """What one request gave; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def refused() -> Invalid:
    """Return the one error of this module's gate."""
    return Invalid("This address is not public, or its name does not resolve.", code="address_refused")


def fetch(url: str, *, max_bytes: int, timeout_s: float = TOTAL_TIMEOUT_S) -> Fetched:
    """GET `url`, following at most five redirects, each of them checked like the first.

    Limits:  `max_bytes` of body, before and after decompression; `timeout_s` seconds in all.
    Errors:  Invalid "address_refused"; TooLarge; DeadlineExceeded; Unavailable "fetch_failed" (connection, TLS,
             protocol, too many redirects). Every HTTP status is returned, not raised.
    """
    deadline = time.monotonic() + timeout_s
    for _ in range(MAX_REDIRECTS + 1):
        response = _send("GET", url, headers={}, content=b"", max_bytes=max_bytes, deadline=deadline)
        location = response.headers.get("location", "")
        if response.status not in (301, 302, 303, 307, 308) or not location:
            return Fetched(url, response.status, response.headers.get("content-type", ""), response.body)
        url = _redirect_target(url, location)
    raise Unavailable("The address redirects too often.", code="fetch_failed")


def egress_request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    content: bytes = b"",
    max_bytes: int = 65536,
    timeout_s: float = TOTAL_TIMEOUT_S,
) -> EgressResponse:
    """Send one request and return the answer; redirects are not followed. Errors as for `fetch`."""
    deadline = time.monotonic() + timeout_s
    return _send(method, url, headers=headers or {}, content=content, max_bytes=max_bytes, deadline=deadline)


def url_check(url: str) -> str:
    """Return `url` in canonical form when it may be named at all; nothing is resolved or sent.

    Raises Invalid "address_refused" for what can be judged by reading: scheme, host form, literal addresses, ports.
    For early answers to people: the check that counts is made when connecting.
    """
    parts = _parse(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        literal = ip_address(parts.hostname or "")
    except ValueError:
        if port not in PORTS and not _allowed_networks():
            raise refused() from None
    else:
        if not address_allowed(literal, port):
            raise refused()
    return urlunsplit(parts)


def address_allowed(address: Address, port: int) -> bool:
    """Return whether `address` may be connected to: public and a web port, or inside EGRESS_ALLOW_CIDRS."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address.version == net.version and address in net for net in _allowed_networks()):
        return True
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return port in PORTS and not any(address.version == net.version and address in net for net in _SPECIAL)


def _allowed_networks() -> tuple[Network, ...]:
    return _networks(tuple(settings.EGRESS_ALLOW_CIDRS))


@cache
def _networks(cidrs: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(cidr, strict=False) for cidr in cidrs)


def _parse(url: str) -> SplitResult:
    """Return the parts of `url` with an ASCII host, or refuse: only what cannot be read in two ways passes."""
    if len(url) > MAX_URL_CHARS or _BAD_URL.search(url):
        raise refused()
    try:
        parts = urlsplit(url)
        port = parts.port
        host = _canonical_host(parts.hostname or "")
    except ValueError:
        raise refused() from None
    if parts.scheme not in ("http", "https") or parts.username is not None or parts.password is not None or port == 0:
        raise refused()
    netloc = f"[{host}]" if ":" in host else host
    if port is not None:
        netloc += f":{port}"
    return SplitResult(parts.scheme, netloc, parts.path or "/", parts.query, "")


def _canonical_host(host: str) -> str:
    """Return a host in lower-case ASCII. Raises ValueError for zones, odd number forms and names that are no names."""
    if "%" in host or "@" in host:
        raise ValueError(host)
    if ":" in host:
        return str(IPv6Address(host))
    host = host.removesuffix(".")
    if not host.isascii() or "xn--" in host:
        host = idna.encode(host, uts46=True, std3_rules=True).decode("ascii")
    if not re.fullmatch(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", host) or len(host) > 253:
        raise ValueError(host)
    if _NUMERIC_LABEL.match(host.rpartition(".")[2]):
        # 2130706433, 0x7f.1, 0177.0.0.1: readers disagree about these, so only plain dotted decimals are read.
        return str(IPv4Address(host))
    return host


def _redirect_target(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise refused() from None


_resolvers = ThreadPoolExecutor(max_workers=8, thread_name_prefix="egress-dns")


def resolve(host: str, port: int) -> list[Address]:
    """Return every address of `host`, in the order of the system's resolver. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))


def _checked_addresses(host: str, port: int, timeout_s: float) -> list[Address]:
    try:
        # getaddrinfo has no time-out of its own.
        addresses = _resolvers.submit(resolve, host, port).result(timeout=timeout_s)
    except (OSError, UnicodeError, ValueError, FutureTimeout):
        raise refused() from None
    # One private address among public ones is refused too: that is how rebinding is prepared.
    if not addresses or not all(address_allowed(address, port) for address in addresses):
        raise refused()
    return addresses


class _DeadlineStream(httpcore.NetworkStream):
    """A stream whose every wait ends at the deadline of the whole request, so that one byte a second does not last."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded("The address did not answer in time.")
        return left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout=self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout=self._left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname=server_hostname, timeout=self._left())
        return _DeadlineStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


@dataclass(slots=True)
class _PinnedBackend(httpcore.NetworkBackend):
    """Connects to addresses checked in the same breath. TLS and Host keep the name: they come from the URL."""

    deadline: float
    inner: httpcore.SyncBackend = field(default_factory=httpcore.SyncBackend)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        error: Exception = refused()
        for address in _checked_addresses(host, port, min(CONNECT_TIMEOUT_S, self._left()))[:4]:
            try:
                wait = min(CONNECT_TIMEOUT_S, self._left())
                stream = self.inner.connect_tcp(str(address), port, timeout=wait, socket_options=socket_options)
                return _DeadlineStream(stream, self.deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
        raise error

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        raise refused()

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded("The address did not answer in time.")
        return left


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _Transport(httpx.BaseTransport):
    """httpx over one pinned connection: no proxies, no retries, no reuse."""

    def __init__(self, deadline: float) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=_ssl_context(), max_connections=1, retries=0, network_backend=_PinnedBackend(deadline)
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = httpcore.URL(
            scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path
        )
        answer = self._pool.handle_request(
            httpcore.Request(request.method, url, headers=request.headers.raw, content=request.stream)
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer.stream))

    def close(self) -> None:
        self._pool.close()


def model_server_transport(base_url: str) -> httpx.AsyncBaseTransport:
    """Return a transport that reaches the scheme, host and port of `base_url`, and nothing else.

    For model servers, which the operator names in the catalogue and which may well have private addresses; no tenant can
    name one. No proxies, no redirects, no repetition. Raises Invalid "address_refused" for any other place.
    """
    return _OneServer(httpx.URL(base_url))


class _OneServer(httpx.AsyncBaseTransport):
    def __init__(self, url: httpx.URL) -> None:
        self._allowed = _origin(url)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=16, keepalive_expiry=15.0)
        self._inner = httpx.AsyncHTTPTransport(verify=_ssl_context(), trust_env=False, limits=limits, retries=0)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if _origin(request.url) != self._allowed:
            raise refused()
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _origin(url: httpx.URL) -> tuple[str, bytes, int | None]:
    return url.scheme, url.raw_host, url.port or {"http": 80, "https": 443}.get(url.scheme)


@cache
def _ssl_context() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def _send(
    method: str, url: str, *, headers: Mapping[str, str], content: bytes, max_bytes: int, deadline: float
) -> EgressResponse:
    target = urlunsplit(_parse(url))
    sent = {"user-agent": USER_AGENT, "accept-encoding": "gzip, deflate", **{k.lower(): v for k, v in headers.items()}}
    try:
        client = httpx.Client(transport=_Transport(deadline), trust_env=False, follow_redirects=False)
        with client, client.stream(method, target, headers=sent, content=content or None) as response:
            names = {name.lower(): value for name, value in response.headers.items()}
            return EgressResponse(response.status_code, names, _read(response, max_bytes))
    except (httpcore.TimeoutException, httpx.TimeoutException):
        raise DeadlineExceeded("The address did not answer in time.") from None
    except (httpx.HTTPError, httpx.InvalidURL, httpcore.NetworkError, httpcore.ProtocolError, OSError, zlib.error):
        raise Unavailable("The address could not be fetched.", code="fetch_failed") from None


def _read(response: httpx.Response, max_bytes: int) -> bytes:
    """Return the body, decoded. Bounded at every step: httpx itself would inflate a whole network block at once."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise Unavailable("The address answered in an encoding that was not asked for.", code="fetch_failed")
    inflate = None if encoding in ("identity", "") else zlib.decompressobj(zlib.MAX_WBITS | 32)
    body = bytearray()
    received = 0
    for block in response.iter_raw():
        received += len(block)
        body += inflate.decompress(block, max_bytes + 1 - len(body)) if inflate else block
        if received > max_bytes or len(body) > max_bytes:
            raise TooLarge("The address sent more than the limit.", details={"max_bytes": max_bytes})
    return bytes(body)
