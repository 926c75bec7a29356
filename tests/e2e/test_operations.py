"""The operators' page in a browser: figures that follow the work, tables, keys, languages, themes, lost connections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.conftest import DESKTOP, PHONE, watch
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.browser]
WIDE = {"width": 1440, "height": 1000}


def _sign_in(page: Page, stack: Stack, who: str) -> None:
    page.goto(f"{stack.base}/operations/")
    page.locator("input[name=login]").fill(stack.demo[who]["email"])
    page.locator("input[type=password]").fill(stack.demo[who]["password"])
    page.keyboard.press("Enter")
    page.wait_for_url(f"{stack.base}/operations/")


def _open(browser: Browser, stack: Stack, faults: list[str], size: dict[str, int] = WIDE, **context: Any) -> Page:
    page = watch(browser.new_context(viewport=size, **context).new_page(), faults)  # type: ignore[arg-type]
    _sign_in(page, stack, "owner")
    return page


def _work(stack: Stack, times: int = 1) -> None:
    """Have the chat model write and the embedding model read."""
    with stack.client() as client:
        for number in range(times):
            messages = [{"role": "user", "content": f"Tell a story about the number {number}."}]
            body = {"model": stack.demo["chat_model"], "messages": messages, "max_tokens": 40}
            client.post("/v1/chat/completions", json=body).raise_for_status()
            client.get("/api/v1/knowledge/search", params={"q": f"story {number}"}).raise_for_status()


def _cell(page: Page, model: str, label: str) -> Any:
    row = page.locator(".ops__models tr").filter(has=page.get_by_text(model, exact=True))
    return row.locator(f"[data-label='{label}']")


def test_the_figures_follow_the_work(browser: Browser, stack: Stack, faults: list[str], shots: Path) -> None:
    page = _open(browser, stack, faults)
    model = stack.demo["chat_model"]
    expect(page.get_by_role("heading", name="Tokens written per second")).to_be_visible(timeout=20_000)
    before = int((_cell(page, model, "Done").text_content() or "0").replace(",", ""))
    _work(stack, 3)
    expect(_cell(page, model, "Done")).to_have_text(str(before + 3), timeout=20_000)
    expect(page.locator(".ops__line--1").first).to_be_attached()
    expect(page.get_by_text("Ready", exact=True).first).to_be_visible()
    page.screenshot(path=str(shots / "operations-light.png"), full_page=True)
    assert faults == []
    page.context.close()


def test_each_chart_has_a_table_and_is_read_with_the_keys(browser: Browser, stack: Stack, faults: list[str]) -> None:
    page = _open(browser, stack, faults)
    charts = page.locator(".ops__card:has(svg.ops__svg)")
    expect(charts).to_have_count(6, timeout=20_000)
    expect(page.get_by_role("button", name="Table: ")).to_have_count(6)
    picture = charts.first.locator("svg.ops__svg")
    picture.focus()
    page.keyboard.press("ArrowLeft")
    reading = charts.first.locator(".ops__reading")
    expect(reading).to_contain_text(":")  # a time of day
    expect(reading).to_have_attribute("aria-live", "polite")
    page.keyboard.press("Escape")
    expect(reading).to_contain_text("now · Output")
    expect(reading).to_have_attribute("aria-live", "off")
    page.get_by_role("button", name="Table: Work that waits, by class").focus()
    page.keyboard.press("Enter")
    table = page.get_by_role("table", name="Work that waits, by class")
    expect(table.get_by_role("columnheader")).to_have_text(["Time", "Live chat", "API", "Batch jobs"])
    expect(table.get_by_role("row").nth(1)).to_be_visible(timeout=15_000)
    assert faults == []
    page.context.close()


def test_a_paused_page_asks_for_nothing(browser: Browser, stack: Stack, faults: list[str]) -> None:
    page = _open(browser, stack, faults)
    expect(page.get_by_text("Updated")).to_be_visible(timeout=20_000)
    page.get_by_role("button", name="Pause").press("Enter")
    page.wait_for_timeout(500)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(5000)
    assert asked == []
    page.get_by_role("button", name="Go on").press("Enter")
    expect(page.get_by_text("Updated")).to_be_visible(timeout=20_000)
    page.context.close()


def test_lost_connections_are_told_and_end_by_themselves(
    browser: Browser, stack: Stack, faults: list[str], shots: Path
) -> None:
    page = _open(browser, stack, faults)
    expect(page.get_by_text("Updated")).to_be_visible(timeout=20_000)
    page.context.set_offline(True)
    expect(page.get_by_text("Connection lost.")).to_be_visible(timeout=20_000)
    page.context.set_offline(False)
    expect(page.get_by_text("Connection lost.")).to_be_hidden(timeout=20_000)

    def away(route: Route) -> None:
        route.fulfill(status=503, json={"error": {"code": "unavailable", "message": "", "request_id": "r-4711"}})

    page.route("**/operations/stats*", away)
    expect(page.get_by_text("Redis does not answer")).to_contain_text("r-4711", timeout=20_000)
    page.screenshot(path=str(shots / "operations-redis-away.png"))
    page.unroute("**/operations/stats*")
    expect(page.get_by_text("Redis does not answer")).to_be_hidden(timeout=25_000)
    page.context.close()


def test_without_a_worker_the_page_says_what_to_do(
    browser: Browser, stack: Stack, faults: list[str], shots: Path
) -> None:
    page = browser.new_context(viewport=DESKTOP).new_page()  # type: ignore[arg-type]
    _sign_in(page, stack, "owner")

    def nobody(route: Route) -> None:
        body = route.fetch().json()
        body |= {"workers": [], "series": [], "budget_mb": 0, "used_mb": 0}
        body["models"] = [{**row, "state": "unloaded"} for row in body["models"]]
        body["failure"] = {"at": 0, "reason": "model.gguf has another sha256; install the model again"}
        route.fulfill(json=body)

    page.route("**/operations/stats*", nobody)
    page.reload()
    expect(page.get_by_role("heading", name="No inference worker is running")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("install the model again")).to_be_visible()
    expect(page.locator("[data-part=live]")).to_be_hidden()
    page.screenshot(path=str(shots / "operations-empty.png"), full_page=True)
    page.context.close()


@pytest.mark.parametrize(
    ("name", "size", "context", "heading"),
    [
        ("dark", WIDE, {"color_scheme": "dark"}, "Operations"),
        ("phone", PHONE, {"has_touch": True, "is_mobile": True}, "Operations"),
        ("chinese", DESKTOP, {"locale": "zh-CN"}, "运维"),
    ],
    ids=["dark", "phone", "chinese"],
)
def test_the_page_fits(
    browser: Browser,
    stack: Stack,
    faults: list[str],
    shots: Path,
    name: str,
    size: dict[str, int],
    context: dict[str, Any],
    heading: str,
) -> None:
    page = _open(browser, stack, faults, size, **context)
    _work(stack)
    expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
    expect(page.locator("svg.ops__svg")).to_have_count(6, timeout=20_000)
    page.wait_for_timeout(4500)
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    page.screenshot(path=str(shots / f"operations-{name}.png"), full_page=True)
    assert overflow <= 0
    assert faults == []
    page.context.close()


def test_an_agent_is_told_whom_the_page_is_for(browser: Browser, stack: Stack, faults: list[str], shots: Path) -> None:
    page = watch(browser.new_context(viewport=DESKTOP).new_page(), faults)  # type: ignore[arg-type]
    _sign_in(page, stack, "agent")
    expect(page.get_by_role("heading", name="This page is for operators")).to_be_visible()
    page.context.close()
