"""Nothing but `core/egress.py` opens a connection to another machine; other uses of the network are named here (C10)."""

from __future__ import annotations

import ast
import re
import socket
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import network

ROOT = Path(__file__).resolve().parents[2]
EGRESS = "apps/core/egress.py"
# Packages and modules that can open connections.
NETWORK = {
    "aiohttp", "asyncssh", "boto3", "botocore", "ftplib", "grpc", "http.client", "httpcore", "httpx", "huggingface_hub",
    "imaplib", "nntplib", "paramiko", "poplib", "pycurl", "requests", "smtplib", "socket", "socks", "ssl", "telnetlib",
    "tldextract", "urllib.request", "urllib3", "websocket", "websockets", "xmlrpc.client",
}  # fmt: skip
# File and module -> why it is none of egress's connections, or one that may be.
NAMED = {
    (
        "apps/inference/engine/backends/remote_link.py",
        "httpx",
    ): "the client of model servers; egress hands it the transport",
    ("apps/inference/engine/backends/remote_chat.py", "httpx"): "types of the same",
    (
        "apps/inference/engine/backends/llama_server.py",
        "httpx",
    ): "to the llama.cpp in its own process, over a Unix socket",
    ("apps/inference/engine/backends/process_chat.py", "socket"): "a pair of sockets to the child process",
    ("apps/inference/engine/backends/process_tagger.py", "socket"): "a pair of sockets to the child process",
    ("apps/inference/engine/backends/tagger_server.py", "socket"): "the other end of it",
    ("apps/inference/engine/weights.py", "huggingface_hub"): "looks into the local cache: local_files_only",
    ("apps/inference/engine/backends/presidio_tagger.py", "tldextract"): "told to use the list in its package alone",
    ("apps/inference/services/stats.py", "socket"): "the name of this machine",
    ("apps/core/box/closing.py", "socket"): "takes sockets away from the boxed process",
    ("apps/accounts/services/invitation_mail.py", "smtplib"): "the error of Django's mail",
    ("nlpsuite/server.py", "socket"): "listens",
    ("nlpsuite/supervisor/up.py", "urllib.request"): "asks the web process of this machine whether it is ready",
}
# What files that import `socket` may use of it: names that open no connection.
HARMLESS = {
    "socket", "socketpair", "gethostname", "SHUT_RDWR", "AF_UNIX", "AF_INET", "AF_INET6", "SOCK_STREAM", "SOL_SOCKET",
    "SO_REUSEADDR", "SO_SNDBUF", "SO_RCVBUF", "IPPROTO_TCP", "TCP_USER_TIMEOUT", "TCP_NODELAY", "SO_KEEPALIVE", "fromfd",
    "SHUT_WR", "SHUT_RD", "timeout", "error", "SOMAXCONN", "SO_REUSEPORT", "IPPROTO_IPV6", "IPV6_V6ONLY",
    "send_fds", "recv_fds",
}  # fmt: skip
CONNECTING = {"create_connection", "open_connection", "urlopen", "sock_connect", "connect_ex", "hf_hub_download"}
CONNECTING_THERE = {("nlpsuite/supervisor/up.py", "urlopen")}


def _files() -> list[Path]:
    return sorted(path for folder in ("apps", "nlpsuite") for path in (ROOT / folder).rglob("*.py"))


TREES = {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in _files()}


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {
            "import_module",
            "__import__",
        }:
            yield from (one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str))


def _network_imports(tree: ast.AST) -> set[str]:
    return {known for name in _imported(tree) for known in NETWORK if name == known or name.startswith(f"{known}.")}


def test_every_import_of_the_network_is_egress_or_named_with_its_reason() -> None:
    found = {(path, name) for path, tree in TREES.items() for name in _network_imports(tree) if path != EGRESS}
    assert found == set(NAMED)


def test_nothing_calls_what_connects() -> None:
    found = {
        (path, part)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for part in [ast.unparse(node.func).rpartition(".")[2]]
        if part in CONNECTING
    }
    assert found == CONNECTING_THERE


def test_sockets_outside_egress_are_pairs_and_listeners() -> None:
    used = {
        (path, node.attr)
        for path, name in NAMED
        if name == "socket"
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "socket"
    }
    assert [one for one in used if one[1] not in HARMLESS] == []


def _httpx_clients() -> list[tuple[str, ast.Call]]:
    makes = {"httpx.Client", "httpx.AsyncClient"}
    return [
        (path, node)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in makes
    ]


def test_every_client_of_httpx_is_given_its_transport() -> None:
    """Without one httpx would connect wherever an address points, and by the proxies of the environment."""
    assert len(_httpx_clients()) == 3
    assert [path for path, call in _httpx_clients() if "transport" not in {word.arg for word in call.keywords}] == []


def test_transports_are_made_by_egress_alone_or_over_a_unix_socket() -> None:
    made = [
        (path, {word.arg for word in node.keywords})
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("HTTPTransport")
    ]
    assert [path for path, words in made if path != EGRESS and "uds" not in words] == []


@pytest.mark.parametrize("call", ["snapshot_download", "from_pretrained"])
def test_models_come_from_this_machine(call: str) -> None:
    """There is no command that downloads; one would be the single exception, and named here."""
    texts = [ast.unparse(tree) for tree in TREES.values() if f"{call}(" in ast.unparse(tree)]
    assert texts
    assert [text[:200] for text in texts if not re.search(r"local_files_only['\"]?\s*[:=]\s*True", text)] == []
    assert [text[:200] for text in texts if re.search(r"local_files_only['\"]?\s*[:=](?!\s*True)", text)] == []


def test_the_contract_of_import_linter_names_the_same_modules() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (mine,) = [one for one in contracts if one["name"] == "Outbound connections only in core/egress.py"]
    modules = {
        f"{path.removesuffix('.py').replace('/', '.')} -> {name}"
        for path, name in NAMED | dict.fromkeys((EGRESS, one) for one in ("httpx", "httpcore"))
        if name in mine["forbidden_modules"]
    }
    assert modules == set(mine["ignore_imports"])


# -- the hook that all tests run under --------------------------------------------------------------------------------
@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("8.8.8.8", 53), ("10.0.0.1", 443), ("169.254.169.254", 80)])
def test_a_connection_beyond_this_machine_is_refused(address: tuple[str, int]) -> None:
    before = len(network.refused)
    with pytest.raises(ConnectionRefusedError, match="a test wanted"), socket.socket() as made:
        made.connect(address)
    assert network.refused[before:] == [f"socket.connect {address[0]}:{address[1]}"]
    del network.refused[before:]


def test_a_name_beyond_this_machine_is_not_looked_up() -> None:
    with pytest.raises(OSError, match="no name is looked up"):
        urllib.request.urlopen("http://example.com/", timeout=5)


def test_connections_to_this_machine_pass() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as made:
        assert made.getpeername() == listening.getsockname()
