"""Who is at the other end of a connection: the one place that reads `X-Forwarded-For`.

A header is believed only from TRUSTED_PROXIES. The chain is read from its end, where the trusted proxy has written, and
stops at the first address that is not trusted: everything before it is what that client says about itself.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
# A household, an office or a server has at least so much of IPv6: whoever is counted by address could take 2^64 of them.
IPV6_PREFIX = 64
# Longer chains are nobody's: proxies in a row are few.
MAX_HOPS = 32
# A peer that has no address, as on a Unix socket: all of those count together.
UNKNOWN = "unknown"


@lru_cache(maxsize=16)
def _networks(names: tuple[str, ...]) -> Networks:
    return tuple(ipaddress.ip_network(name) for name in names)


def client_address(source: HttpRequest | dict[str, Any]) -> str:
    """Return the client's address, of an HTTP request or of an ASGI scope; "unknown" where there is none.

    IPv6 comes in its short form, an IPv4 address within IPv6 as IPv4. Of several headers `X-Forwarded-For` the values are
    one chain. An entry that is no address ends the chain: the nearest trusted proxy counts as the client then.
    """
    if isinstance(source, HttpRequest):
        peer = source.META.get("REMOTE_ADDR", "")
        chain = [source.META.get("HTTP_X_FORWARDED_FOR", "")]
    else:
        peer = (source.get("client") or ("",))[0]
        chain = [value.decode("latin-1") for name, value in source["headers"] if name == b"x-forwarded-for"]
    return _resolve(peer, chain, _networks(tuple(settings.TRUSTED_PROXIES)))


def client_network(source: HttpRequest | dict[str, Any]) -> str:
    """Return what limits per address count by: the IPv4 address, or the /64 network of an IPv6 address."""
    return network_of(client_address(source))


def network_of(address: str) -> str:
    """Return the IPv4 address itself, the /64 of an IPv6 address, or "unknown"."""
    parsed = _parsed(address)
    if parsed is None:
        return UNKNOWN
    if parsed.version == 6:
        return str(ipaddress.IPv6Network((int(parsed), IPV6_PREFIX), strict=False))
    return str(parsed)


def is_trusted(address: str) -> bool:
    """Whether this peer is one of TRUSTED_PROXIES."""
    parsed = _parsed(address)
    return parsed is not None and _within(parsed, _networks(tuple(settings.TRUSTED_PROXIES)))


def _resolve(peer: str, chain: Iterable[str], trusted: Networks) -> str:
    current = _parsed(peer)
    if current is None:
        return UNKNOWN
    hops = ",".join(chain).split(",")[-MAX_HOPS:]
    while hops and _within(current, trusted):
        before = _parsed(_without_port(hops.pop().strip(" \t")))
        if before is None:
            break
        current = before
    return str(current)


def _within(address: Address, networks: Sequence[Any]) -> bool:
    return any(address in network for network in networks)


def _parsed(text: str) -> Address | None:
    """Return the address, IPv4 where IPv6 only wraps it and without a zone; None for anything else."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        return found.ipv4_mapped or ipaddress.IPv6Address(int(found))
    return found


def _without_port(text: str) -> str:
    """Return the host of `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]` and `[2001:db8::1]:80`."""
    host, bracket, rest = text.removeprefix("[").partition("]")
    if text.startswith("["):
        return host if bracket and (not rest or _is_port(rest)) else ""
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host if _is_port(f":{port}") else ""
    return text


def _is_port(text: str) -> bool:
    return text.startswith(":") and len(text) <= 6 and text[1:].isascii() and text[1:].isdigit()
