"""Chromium on the running product, and a shop on another origin that embeds the widget."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

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


@pytest.fixture(scope="session")
def shop(stack: Stack) -> Iterator[str]:
    """The origin of a page of another site, allowed by the demo inbox, with one script tag."""
    demo = stack.demo
    tag = f'<script src="{stack.base}/widget.js" data-token="{demo["widget_token"]}" data-locale="en" defer></script>'
    body = f'<!doctype html><html lang="en"><title>Shop</title><body><h1>A shop</h1>{tag}</body></html>'.encode()

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
        changed = client.patch(f"/api/v1/conversations/inboxes/{demo['inbox_id']}", json={"allowed_origins": [origin]})
        assert changed.status_code == 200, changed.text
    yield origin
    server.shutdown()


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go; the path is printed at the end of the run."""
    folder = tmp_path_factory.mktemp("shots")
    print(f"screenshots: {folder}")
    return folder
