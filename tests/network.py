"""No test leaves this machine: an audit hook under every socket of the test process, whoever opens it (C10, J3).

What the product's own processes do is looked at by `tests/core/test_outbound.py`, which reads their code.
"""

from __future__ import annotations

import socket
import sys
from ipaddress import ip_address
from typing import Any

refused: list[str] = []
_LOCAL_NAMES = frozenset(("", "localhost", "localhost.", "ip6-localhost", socket.gethostname().lower()))


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple) and not _is_local(str(address[0])):
            refused.append(f"{event} {address[0]}:{address[1]}")
            raise ConnectionRefusedError(f"a test wanted to connect to {address[0]}")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname") and not _is_local(_text(arguments[0])):
        # The answer of a machine without a network.
        raise socket.gaierror(socket.EAI_NONAME, "no name is looked up in tests")


def _text(host: Any) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")


def _is_local(host: str) -> bool:
    if host.lower() in _LOCAL_NAMES:
        return True
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def install() -> None:
    """From here on connections and look-ups beyond this machine fail; `refused` keeps the connections."""
    sys.addaudithook(_hook)
