"""The embed script on a page of another origin, with a frame that reports what it hears (G3)."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parent.parent.parent
FRAME = """<!doctype html><body><textarea aria-label="box"></textarea><script type="module">
import { Bridge } from "/static/widget/frame/bridge.js";
const parent_origin = new URL(location).searchParams.get("origin");
const bridge = new Bridge([parent_origin], parent_origin);
window.heard = [];
for (const name of ["open", "close", "identify", "attributes", "locale", "reset"]) {
  bridge.addEventListener(name, (event) => window.heard.push(event.detail.type));
}
window.bridge = bridge;
bridge.post("ready", { accent: "#123456" });
</script></body>"""
HOST = """<!doctype html><body><h1>Shop</h1><script src="/early.js"></script>
<script src="%(product)s/widget.js" data-token="wt" defer></script></body>"""
EARLY = """window.events = [];
for (const name of ["ready", "opened", "closed", "message"]) {
  document.addEventListener("nlpsuite:" + name, () => window.events.push(name));
}"""
FORGED = """() => {
    const kinds = ["close", "unread", "ready", "message", "theme", "__proto__", "constructor", "toString", "open", ""];
    const shapes = [(type) => ({ nlpsuite: 1, type, count: 99 }), (type) => JSON.stringify({ nlpsuite: 1, type }),
        (type) => [type], (type) => ({ nlpsuite: "1", type }), (type) => ({ type })];
    let sent = 0;
    for (const type of kinds) for (const shape of shapes) { window.postMessage(shape(type), "*"); sent += 1; }
    return new Promise((done) => setTimeout(() => done(sent), 200));
}"""


class _Product(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/widget/frame":
            body, kind = FRAME.encode(), "text/html"
        else:
            name = "static/widget/embed.js" if path == "/widget.js" else path.lstrip("/")
            body, kind = (ROOT / name).read_bytes(), "text/javascript"
        _answer(self, body, kind)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


class _Shop(_Product):
    def __init__(self, product: str, *args: Any) -> None:
        self.product = product
        super().__init__(*args)

    def do_GET(self) -> None:
        if self.path == "/early.js":
            _answer(self, EARLY.encode(), "text/javascript")
            return
        # A strict page: our script and frame are allowed, no inline style is.
        policy = f"default-src 'none'; script-src 'self' {self.product}; frame-src {self.product}"
        _answer(self, (HOST % {"product": self.product}).encode(), "text/html", policy)


def _answer(handler: BaseHTTPRequestHandler, body: bytes, kind: str, policy: str = "") -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", f"{kind}; charset=utf-8")
    if policy:
        handler.send_header("Content-Security-Policy", policy)
    handler.end_headers()
    handler.wfile.write(body)


def _serve(handler: Any) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def shop(browser: Any) -> Iterator[Page]:
    """The shop's page with the script loaded and the frame ready; `errors` on the page object collects violations."""
    product = _serve(_Product)
    address = f"http://127.0.0.1:{product.server_port}"
    host = _serve(functools.partial(_Shop, address))
    page = browser.new_page(viewport={"width": 1000, "height": 760})
    page.goto(f"http://127.0.0.1:{host.server_port}/")
    _wait_ready(page)
    yield page
    page.close()
    host.shutdown()
    product.shutdown()


def _wait_ready(page: Page) -> None:
    """Playwright's own wait evaluates text in the page, which the page's policy forbids."""
    deadline = time.monotonic() + 10
    while not page.evaluate("window.events.includes('ready')"):
        assert time.monotonic() < deadline, "the frame never said that it is ready"
        page.wait_for_timeout(20)


def _heard(page: Page) -> list[str]:
    return page.frames[1].evaluate("heard")


def test_open_and_close_fire_events_and_reach_the_frame(shop: Page) -> None:
    shop.evaluate("nlpsuite.open(); nlpsuite.close();")
    shop.wait_for_timeout(50)
    assert shop.evaluate("events") == ["ready", "opened", "closed"]
    assert _heard(shop) == ["open", "close"]


def test_opening_takes_less_than_300_ms(shop: Page) -> None:
    took = shop.evaluate(
        """async () => {
            const started = performance.now();
            nlpsuite.open();
            await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
            return performance.now() - started;
        }"""
    )
    assert took < 300


def test_escape_closes_and_gives_the_focus_back_to_the_launcher(shop: Page) -> None:
    shop.evaluate("nlpsuite.open()")
    shop.keyboard.press("Tab")
    shop.evaluate("document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }))")
    assert shop.evaluate("document.activeElement.shadowRoot.activeElement.className") == "launcher"


def test_fifty_forged_messages_to_the_page_do_nothing(shop: Page) -> None:
    shop.evaluate("nlpsuite.open()")
    before = shop.evaluate("events.length")
    assert shop.evaluate(FORGED) == 50
    assert shop.evaluate("events.length") == before
    assert shop.evaluate("nlpsuite.isOpen()")


def test_fifty_forged_messages_to_the_frame_do_nothing(shop: Page) -> None:
    frame = shop.frames[1]
    assert frame.evaluate(FORGED) == 50
    assert frame.evaluate("heard") == []


def test_a_parent_that_is_not_listed_is_not_heard(shop: Page) -> None:
    shop.frames[1].evaluate("bridge.origins = new Set(['https://other.example'])")
    shop.evaluate("nlpsuite.open()")
    shop.wait_for_timeout(50)
    assert _heard(shop) == []


def test_the_frame_answers_only_its_verified_parent(shop: Page) -> None:
    before = shop.evaluate("events.length")
    shop.frames[1].evaluate("bridge.parentOrigin = ''; bridge.post('message', { message: {} })")
    shop.wait_for_timeout(50)
    assert shop.evaluate("events.length") == before


def test_a_strict_content_policy_of_the_page_is_kept(shop: Page) -> None:
    style = "getComputedStyle(document.querySelector('nlpsuite-chat').shadowRoot.querySelector('.launcher')).position"
    assert shop.evaluate(style) == "fixed"


def test_a_call_is_truthy_so_that_waiting_for_the_method_can_call_it(shop: Page) -> None:
    assert shop.evaluate("nlpsuite.open().close().isOpen() === false")


def test_the_page_itself_is_left_alone(shop: Page) -> None:
    assert shop.evaluate("[...document.body.children].map((element) => element.localName)") == [
        "h1",
        "script",
        "script",
        "nlpsuite-chat",
    ]


def test_a_phone_shows_the_chat_on_the_whole_screen(shop: Page) -> None:
    shop.set_viewport_size({"width": 390, "height": 844})
    shop.evaluate("nlpsuite.open()")
    shop.wait_for_timeout(300)
    box = shop.evaluate(
        "(() => { const r = document.querySelector('nlpsuite-chat').shadowRoot.querySelector('iframe')"
        ".getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })()"
    )
    assert box == [0, 0, 390, 844]


def test_the_launcher_names_itself_in_the_asked_language(shop: Page) -> None:
    shop.evaluate("nlpsuite.setLocale('zh-CN')")
    label = "document.querySelector('nlpsuite-chat').shadowRoot.querySelector('.launcher').getAttribute('aria-label')"
    assert shop.evaluate(label) == "打开聊天"
