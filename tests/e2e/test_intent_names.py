"""Intents are shown in the reader's language; the API, labels and addresses keep their English words."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.conftest import DESKTOP, watch
from tests.e2e.test_main_path import sign_in
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.browser]
ASKED = "I would like to return this and get a refund."
NAME = "退货或退款"
LOADING_MS = 90_000


@pytest.fixture
def page(browser: Browser, stack: Stack, faults: list[str]) -> Page:
    opened = watch(browser.new_context(viewport=DESKTOP, locale="zh-CN").new_page(), faults)  # type: ignore[arg-type]
    sign_in(opened, stack, "agent")
    opened.locator("#inbox").wait_for()
    return opened


def test_the_inbox_names_intents_and_stores_their_words(
    page: Page, stack: Stack, faults: list[str], shots: Path
) -> None:
    with stack.client() as client:
        found = client.post("/api/v1/conversations", json={"contact": {"name": "Li"}}).json()["id"]
        client.patch(f"/api/v1/conversations/{found}", json={"handler": "person"})
        client.post(f"/api/v1/conversations/{found}/messages", json={"role": "contact", "text": ASKED})
        page.goto(f"{stack.base}/inbox/?view=open&c={found}")
        expect(page.get_by_role("log").get_by_text(NAME)).to_be_visible(timeout=LOADING_MS)
        page.locator("#aside-labels").get_by_role("button", name=NAME).click()
        expect(page.locator("#aside-labels .badge")).to_contain_text(NAME)
        expect(page.locator(f"[data-conversation='{found}']").get_by_text(NAME)).to_be_visible()
        assert client.get(f"/api/v1/conversations/{found}").json()["labels"] == ["return or refund"]
    page.screenshot(path=str(shots / "intents-inbox.png"))
    assert faults == []
    page.context.close()


def test_an_answer_that_a_row_of_the_socket_outran_takes_nothing_back(
    page: Page, stack: Stack, faults: list[str]
) -> None:
    with stack.client() as client:
        found = client.post("/api/v1/conversations", json={"contact": {"name": "Li"}}).json()["id"]
        client.patch(f"/api/v1/conversations/{found}", json={"handler": "person"})
        client.post(f"/api/v1/conversations/{found}/messages", json={"role": "contact", "text": ASKED})
    rows: list[dict[str, Any]] = []

    def heard(frame: str | bytes) -> None:
        row = json.loads(frame).get("conversation")
        if row and row["id"] == found and row["intents"]:
            rows.append(row)

    page.on("websocket", lambda socket: socket.on("framereceived", heard))
    held: list[Route] = []
    page.route(f"**/api/v1/conversations/{found}", lambda route: held.append(route), times=1)
    page.goto(f"{stack.base}/inbox/?view=open&c={found}")
    until = time.monotonic() + LOADING_MS / 1000
    while not (rows and held) and time.monotonic() < until:
        page.wait_for_timeout(100)
    # The answer as it was before the message was read, after the socket told what was found in it.
    held[0].fulfill(json=rows[-1] | {"intents": [], "suggested_labels": []})
    expect(page.get_by_role("log").get_by_text(NAME)).to_be_visible(timeout=LOADING_MS)
    # At once: a row that comes later would mend it.
    assert page.locator("#aside-labels").get_by_role("button", name=NAME).count() == 1
    assert faults == []
    page.context.close()


def test_what_was_found_before_the_page_listened_is_shown(page: Page, stack: Stack, faults: list[str]) -> None:
    """The page's answer is of before the message was read, the subscription of after it."""
    with stack.client() as client:
        found = client.post("/api/v1/conversations", json={"contact": {"name": "Li"}}).json()["id"]
        client.patch(f"/api/v1/conversations/{found}", json={"handler": "person"})
        client.post(f"/api/v1/conversations/{found}/messages", json={"role": "contact", "text": ASKED})
        until = time.monotonic() + LOADING_MS / 1000
        while not client.get(f"/api/v1/conversations/{found}").json()["intents"] and time.monotonic() < until:
            time.sleep(0.5)

    def before(route: Route) -> None:
        answer = route.fetch()
        unread = {"language": None, "sentiment": None, "intent": None}
        items = [message | unread for message in answer.json()["items"]]
        assert items
        route.fulfill(response=answer, json=answer.json() | {"items": items})

    page.route(f"**/api/v1/conversations/{found}/messages*", before, times=1)
    page.goto(f"{stack.base}/inbox/?view=open&c={found}")
    expect(page.get_by_role("log").get_by_text(NAME)).to_be_visible(timeout=LOADING_MS)
    assert faults == []
    page.context.close()


def test_the_studio_names_intents(page: Page, stack: Stack, faults: list[str], shots: Path) -> None:
    page.goto(f"{stack.base}/studio/?task=classify")
    # The page listens once its tabs are there.
    page.locator("[role=tab]").first.wait_for()
    page.locator("#text").fill(ASKED)
    page.get_by_role("button", name="运行任务").click()
    expect(page.locator(".verdict__text")).to_have_text(NAME, timeout=LOADING_MS)
    page.screenshot(path=str(shots / "intents-studio.png"))
    assert faults == []
    page.context.close()


@pytest.mark.parametrize(
    ("options", "name"),
    [({}, NAME), ({"labels": ["return or refund", "weather"]}, "return or refund")],
    ids=["intents", "labels of people"],
)
def test_a_batch_names_intents_but_not_the_labels_of_people(
    page: Page, stack: Stack, faults: list[str], options: dict[str, list[str]], name: str
) -> None:
    with stack.client() as client:
        body = {"task": "classify", "items": [ASKED] * 3, "options": options}
        batch = client.post("/api/v1/jobs", json=body).json()["id"]
        deadline = time.monotonic() + 120
        while client.get(f"/api/v1/jobs/{batch}").json()["status"] != "done" and time.monotonic() < deadline:
            time.sleep(0.5)
    page.goto(f"{stack.base}/studio/batches/{batch}/")
    bar = page.locator("svg[data-chart=labels]").get_by_role("link", name=name)
    expect(bar).to_be_visible(timeout=LOADING_MS)
    expect(page.locator(".texts__item .badge").first).to_contain_text(name)
    assert faults == []
    page.context.close()
