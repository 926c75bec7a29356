"""Chromium on the running product, and a shop on another origin that embeds the widget."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, StorageState

from tests.e2e.studio_page import WIDE
from tests.stack import Stack

DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@pytest.fixture
def faults() -> list[str]:
    """Script errors and refused resources of the pages of one test."""
    return []


def watch(page: Page, faults: list[str]) -> Page:
    """Collect the page's script errors and content-policy violations."""
    page.on("pageerror", lambda error: faults.append(str(error)[:200]))

    def console(message: Any) -> None:
        if message.type == "error" and "Content Security Policy" in message.text:
            faults.append(message.text[:200])

    page.on("console", console)
    return page


@contextmanager
def site(stack: Stack, inbox: dict[str, str], *, script: str = "", locale: str = "en") -> Iterator[str]:
    """The origin of a page of another site, allowed by an inbox (`id`, `widget_token`), with one script tag.

    `script` runs before it, for instance to push calls for it.
    """
    tag = f'<script src="{stack.base}/widget.js" data-token="{inbox["widget_token"]}" data-locale="{locale}" defer></script>'
    before = f"<script>{script}</script>" if script else ""
    body = (
        f'<!doctype html><html lang="en"><title>Shop</title><body><h1>A shop</h1>{before}{tag}</body></html>'.encode()
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{server.server_port}"
    with stack.client() as client:
        changed = client.patch(f"/api/v1/conversations/inboxes/{inbox['id']}", json={"allowed_origins": [origin]})
        assert changed.status_code == 200, changed.text
    yield origin
    server.shutdown()


@pytest.fixture(scope="session")
def shop(stack: Stack) -> Iterator[str]:
    """The origin of a page of another site with the demo inbox's widget."""
    demo = stack.demo
    with site(stack, {"id": demo["inbox_id"], "widget_token": demo["widget_token"]}) as origin:
        yield origin


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go; the path is printed at the end of the run."""
    folder = tmp_path_factory.mktemp("shots")
    print(f"screenshots: {folder}")
    return folder


@pytest.fixture(scope="session")
def _cookies() -> dict[str, StorageState]:
    """Those of each member: signing in for every test would run into the limit on sign-ins."""
    return {}


@pytest.fixture(scope="module")
def signed_in(browser: Browser, stack: Stack, _cookies: dict[str, StorageState]) -> Callable[[str], StorageState]:
    """The cookies of a member, who signs in when they are first asked for."""

    def state(who: str) -> StorageState:
        if who not in _cookies:
            context = browser.new_context()
            page = context.new_page()
            page.goto(f"{stack.base}/studio/")
            page.locator("input[name=login]").fill(stack.demo[who]["email"])
            page.locator("input[type=password]").fill(stack.demo[who]["password"])
            page.keyboard.press("Enter")
            page.wait_for_url(f"{stack.base}/studio/**")
            _cookies[who] = context.storage_state()
            context.close()
        return _cookies[who]

    return state


@pytest.fixture
def studio(
    browser: Browser, stack: Stack, signed_in: Callable[[str], StorageState], faults: list[str]
) -> Iterator[Callable[..., Page]]:
    """studio(path, size=, who=, **context) -> a page of the studio whose scripts have started."""
    opened: list[Page] = []

    def open_page(path: str = "", size: dict[str, int] = WIDE, who: str = "owner", **context: Any) -> Page:
        made = browser.new_context(viewport=size, storage_state=signed_in(who), **context)  # type: ignore[arg-type]
        page = watch(made.new_page(), faults)
        opened.append(page)
        page.goto(f"{stack.base}/studio/{path}")
        page.locator("[role=tab], a.pick, .picks .empty").first.wait_for()
        return page

    yield open_page
    for page in opened:
        page.context.close()
    assert faults == []
