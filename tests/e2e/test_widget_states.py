"""What a visitor sees when they are not signed in, when nobody answers, and when messages are long."""

from __future__ import annotations

import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import psutil
import pytest
from playwright.sync_api import Browser, FrameLocator, Page, StorageState, expect

from tests.e2e.conftest import DESKTOP, PHONE, site, watch
from tests.e2e.test_main_path import ask, open_widget
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.browser]
DELAYED = "The answer takes longer than usual."


@pytest.fixture
def closed(stack: Stack) -> dict[str, str]:
    """A new inbox that admits proven identities only, with its secret."""
    with stack.client() as client:
        made = client.post(
            "/api/v1/conversations/inboxes", json={"name": f"Closed {uuid.uuid4().hex[:6]}", "identity_required": True}
        ).json()
        secret = client.post(f"/api/v1/conversations/inboxes/{made['id']}/identity-secret", json={}).json()
    return {"id": made["id"], "widget_token": made["widget_token"], "secret": secret["identity_secret"]}


def _token(inbox: dict[str, str], lasts_s: float = 600, **claims: Any) -> str:
    whole = {"sub": "user-7", "name": "Ada Proven", "exp": int(time.time() + lasts_s), **claims}
    return jwt.encode(whole, inbox["secret"], algorithm="HS256")


@pytest.fixture
def page_of(browser: Browser, faults: list[str]) -> Iterator[Callable[..., Page]]:
    opened: list[Any] = []

    def make(**context: Any) -> Page:
        opened.append(browser.new_context(**context))
        return watch(opened[-1].new_page(), faults)

    yield make
    for context in opened:
        context.close()


@pytest.mark.parametrize(
    ("locale", "title", "look"),
    [
        ("en", "Please sign in", {"viewport": PHONE, "color_scheme": "dark"}),
        ("zh-hans", "请先登录", {"viewport": DESKTOP}),
    ],
)
def test_who_is_not_signed_in_is_told_so_and_comes_in_with_a_token(
    page_of: Callable[..., Page],
    stack: Stack,
    closed: dict[str, str],
    faults: list[str],
    shots: Path,
    locale: str,
    title: str,
    look: dict[str, Any],
) -> None:
    with site(stack, closed, locale=locale) as origin:
        page = page_of(**look)
        page.goto(origin)
        # A function: Playwright calls what an expression gives, and that is how the listener is taken off again.
        page.evaluate("() => { window.told = []; nlpsuite.on('identity', (detail) => told.push(detail.code)); }")
        page.locator("nlpsuite-chat .launcher").click()
        frame = page.frame_locator("iframe[src*='/widget/frame']")
        expect(frame.get_by_role("heading", name=title)).to_be_visible(timeout=30_000)
        expect(frame.get_by_role("textbox")).to_have_count(0)
        page.screenshot(path=str(shots / f"identity-required-{locale}.png"))
        page.evaluate("(token) => nlpsuite.identify({ token })", _token(closed, lasts_s=-5))
        page.wait_for_function("told.includes('identity_expired')", timeout=30_000)
        expect(frame.get_by_role("heading", name=title)).to_have_count(0)
        page.screenshot(path=str(shots / f"identity-expired-{locale}.png"))
        page.evaluate("(token) => nlpsuite.identify({ token })", _token(closed))
        expect(frame.get_by_role("textbox")).to_be_visible(timeout=30_000)
        ask(frame, "Hello")
        expect(frame.locator(".msg--mine:not(.msg--pending)")).to_have_count(1, timeout=30_000)
    with stack.client() as client:
        found = client.get("/api/v1/conversations", params={"q": "Ada Proven"}).json()["items"]
    assert {(item["contact"]["verified"], item["contact"]["name_verified"]) for item in found} == {(True, True)}
    assert faults == []


def test_a_name_from_a_browser_is_shown_as_said(
    page_of: Callable[..., Page],
    stack: Stack,
    signed_in: Callable[[str], StorageState],
    faults: list[str],
    shots: Path,
) -> None:
    with stack.client() as client:
        made = client.post(
            "/api/v1/conversations", json={"contact": {"name": "Eve Said", "email": "eve@customer.example"}}
        ).json()
        client.post(f"/api/v1/conversations/{made['id']}/messages", json={"text": "It is me.", "role": "contact"})
    page = page_of(viewport={"width": 1500, "height": 900}, storage_state=signed_in("owner"))
    page.goto(f"{stack.base}/inbox/#/{made['id']}")
    page.get_by_text("Eve Said").first.click()
    if not page.get_by_text("Said by the visitor").first.is_visible():
        page.keyboard.press("Escape")
    expect(page.get_by_text("Said by the visitor")).to_have_count(2, timeout=30_000)
    page.screenshot(path=str(shots / "said-by-the-visitor.png"))
    assert faults == []


def test_a_hung_worker_is_told_of_in_time_and_the_answer_comes_when_it_is_back(
    page_of: Callable[..., Page], stack: Stack, shop: str, faults: list[str], shots: Path
) -> None:
    page = page_of(viewport=PHONE, color_scheme="dark")
    frame = open_widget(page, shop)
    expect(frame.get_by_role("textbox")).to_be_visible(timeout=30_000)
    hung = [psutil.Process(pid) for pid in stack.roles()["worker-inference"]]
    for process in hung:
        process.send_signal(signal.SIGSTOP)
    try:
        ask(frame, "How do I put the chat widget on my web site?")
        expect(frame.locator(".msg--mine:not(.msg--pending)")).to_have_count(1, timeout=30_000)
        # Five seconds after the acknowledgement, and what a busy machine adds.
        notice = frame.get_by_role("log").get_by_text(DELAYED)
        expect(notice).to_be_visible(timeout=20_000)
        expect(frame.locator(".line--notice").get_by_role("button", name="Talk to a person")).to_be_visible()
        # One state: the header promises nothing that the log takes back.
        expect(frame.get_by_text("Answers at once")).to_have_count(0)
        expect(frame.get_by_text("The answer takes a little longer")).to_be_visible()
        page.screenshot(path=str(shots / "takes-longer.png"))
    finally:
        for process in hung:
            process.send_signal(signal.SIGCONT)
    frame.locator(".msg--bot:not(.msg--wait):not(.msg--stream)").first.wait_for(timeout=90_000)
    expect(frame.get_by_text(DELAYED)).to_have_count(0)
    expect(frame.get_by_text("Answers at once")).to_be_visible()
    assert faults == []


def test_long_messages_do_not_lock_a_visitor_out(
    page_of: Callable[..., Page], stack: Stack, shop: str, faults: list[str]
) -> None:
    page = page_of(viewport=DESKTOP)
    frame = open_widget(page, shop)
    ask(frame, "I need a person")
    expect(frame.locator(".msg--mine:not(.msg--pending)")).to_have_count(1, timeout=30_000)
    conversation = _newest(stack)
    with stack.client() as client:
        for number in range(30):
            body = {"text": f"part {number} " + "😀" * 9_000, "role": "agent"}
            assert client.post(f"/api/v1/conversations/{conversation}/messages", json=body).status_code == 201
    page.reload()
    again: FrameLocator = open_widget(page, shop)
    expect(again.get_by_text("part 29 ")).to_have_count(1, timeout=60_000)
    expect(again.locator(".msg--agent")).to_have_count(30)
    ask(again, "I have read it all")
    expect(again.locator(".msg--mine:not(.msg--pending)").last).to_contain_text("I have read it all", timeout=30_000)
    assert faults == []


def _newest(stack: Stack) -> str:
    with stack.client() as client:
        items = client.get("/api/v1/conversations", params={"q": "I need a person", "limit": 1}).json()["items"]
    return items[0]["id"]
