"""docs/protocol.md beside the server and both of our clients."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from django.conf import settings

from apps.conversations.services import feed
from apps.core import sockets
from apps.inbox import consumers as inbox

ROOT = Path(settings.BASE_DIR)
PAGE = (ROOT / "docs/protocol.md").read_text()
VISITOR, STAFF = ROOT / "apps/widget/consumers.py", ROOT / "apps/inbox/consumers.py"
SHARED = (ROOT / "apps/conversations/services/feed.py", ROOT / "apps/core/sockets.py")
WIDGET_SCRIPTS = sorted((ROOT / "static/widget/frame").glob("*.js"))
INBOX_SCRIPTS = sorted((ROOT / "static/inbox").glob("*.js"))
TYPE = re.compile(r"[a-z]+(\.[a-z]+)?")


def _section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}", 1)[1].split("\n## ", 1)[0]


def _rows(section: str, first: str) -> list[list[str]]:
    """The cells of the rows of the table whose first heading is `first`."""
    table = section.split(f"| {first} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def _types(section: str, first: str) -> set[str]:
    return {row[0].strip("`") for row in _rows(section, first)}


def _sent_by(path: Path) -> set[str]:
    """The values of `"type"` in the dictionaries of a module."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "type" and isinstance(value, ast.Constant):
                    found.add(value.value)
    return found


def _taken_by(path: Path) -> set[str]:
    """The frame types that `on_frame` of a consumer knows: the keys of its actions, and what it compares with."""
    (function,) = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.AsyncFunctionDef) and node.name == "on_frame"
    ]
    words = {
        node.value for node in ast.walk(function) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {word for word in words if TYPE.fullmatch(word)} - {"type"}


def _codes_of(path: Path) -> set[str]:
    text = path.read_text()
    return set(re.findall(r"\b(?:cut|leave)\((\d{4})\)", text)) | set(re.findall(r'"code": (\d{4})', text))


def _frames_named(scripts: list[Path]) -> set[str]:
    """The types of the frames that scripts send: `type: "..."` that the page knows as a frame."""
    return {name for path in scripts for name in re.findall(r'\btype: "([a-z.]+)"', path.read_text())}


@pytest.mark.parametrize(
    ("heading", "consumer"), [("The visitor's socket", VISITOR), ("The staff socket", STAFF)], ids=["visitor", "staff"]
)
def test_the_page_lists_what_a_socket_takes_and_sends(heading: str, consumer: Path) -> None:
    section = _section(heading)
    assert _types(section, "From the client") == _taken_by(consumer)
    sent = _sent_by(consumer).union(*map(_sent_by, SHARED))
    assert _types(section, "From the server") == sent
    assert all(TYPE.fullmatch(name) for name in sent)


def test_the_visitors_client_sends_and_reads_what_the_page_lists() -> None:
    section = _section("The visitor's socket")
    client, server = _types(section, "From the client"), _types(section, "From the server")
    inputs = {"text", "radio", "checkbox", "button", "submit"}
    assert _frames_named(WIDGET_SCRIPTS) - inputs == client
    handlers = (ROOT / "static/widget/frame/connection.js").read_text().split("const HANDLERS = {", 1)[1]
    read = set(re.findall(r'^  "?([a-z.]+)"?[:(]', handlers, re.MULTILINE))
    assert read <= server
    # What says only that a rating is stored changes nothing on the page.
    assert server - read == {"rating", "csat"}


def test_the_console_reads_what_the_page_lists() -> None:
    section = _section("The staff socket")
    client, server = _types(section, "From the client"), _types(section, "From the server")
    sent = _frames_named(INBOX_SCRIPTS) & client
    # A program begins with a key; presence has no switch on the page.
    assert client - sent == {"hello", "presence"}
    table = (ROOT / "static/inbox/main.js").read_text().split("new Live({", 1)[1].split("}, (id)", 1)[0]
    read = set(re.findall(r'^      "?([a-z.]+)"?: \(frame\)', table, re.MULTILINE)) | {"welcome"}
    assert read <= server
    assert server - read == {"presence"}


def test_the_page_lists_every_close_code() -> None:
    paths = [*(ROOT / "apps").rglob("consumers.py"), ROOT / "apps/core/sockets.py", ROOT / "nlpsuite/socket_door.py"]
    used = set().union(*map(_codes_of, paths))
    listed = {row[0] for row in _rows(_section("Close codes"), "Code")}
    # 1012 is the server's own at a restart.
    assert listed == used | {"1012"}


def test_our_clients_come_back_as_the_page_says() -> None:
    script = (ROOT / "static/js/lib/socket.js").read_text()
    rows = {row[0]: row[2] for row in _rows(_section("Close codes"), "Code")}
    fatal = re.search(r"fatal = \[([\d, ]+)\]", script)
    busy = re.search(r"BUSY_CODES = new Set\(\[([\d, ]+)\]\)", script)
    assert fatal is not None
    assert busy is not None
    assert {code for code, does in rows.items() if "does not come back" in does} == set(fatal[1].split(", "))
    assert {code for code, does in rows.items() if does == "comes back later"} == set(busy[1].split(", "))
    assert [code for code, does in rows.items() if does == "comes back soon"] == re.findall(
        r"RESTART_CODE = (\d+)", script
    )


def test_the_bounds_of_the_page_are_the_servers() -> None:
    bounds = {row[0]: int(row[1]) for row in _rows(_section("Frames"), "Bound")}
    assert bounds == {
        "bytes of a frame from a client": sockets.MAX_FRAME_BYTES,
        "frames from a client in 10 s": sockets.MAX_FRAMES_PER_10S,
        "frames of unknown type on one socket": sockets.MAX_BAD_FRAMES,
        "seconds until a `hello` is accepted": sockets.HELLO_TIMEOUT_S,
        "bytes that wait to be sent to a client": sockets.MAX_QUEUED_BYTES,
        "messages in a `welcome` or a page of missed messages": feed.PAGE_MESSAGES,
        "bytes of messages in such a page": feed.PAGE_BYTES,
        "conversations that a staff socket watches": inbox.MAX_SUBSCRIPTIONS,
    }
    assert f"Version {sockets.PROTOCOL_VERSION}." in PAGE
    assert f"Within {round(feed.RESUME_GRACE_S * 1000)} ms" in PAGE
    assert f"every {round(inbox.RECHECK_S)} seconds" in PAGE
