"""The main job in a browser: ask on another site, read a cited answer, ask for a person, be answered by an agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.e2e.conftest import DESKTOP, PHONE, watch
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.browser]
QUESTION = "How do I put the chat widget on my web site?"


def open_widget(page: Page, address: str) -> FrameLocator:
    page.goto(address)
    page.get_by_role("button", name="Open chat").click()
    return page.frame_locator("iframe[src*='/widget/frame']")


def ask(frame: FrameLocator, text: str) -> None:
    box = frame.get_by_role("textbox").last
    box.fill(text)
    box.press("Enter")


def sign_in(page: Page, stack: Stack, who: str) -> None:
    page.goto(f"{stack.base}/inbox/")
    page.locator("input[type=email], input[name=login]").first.fill(stack.demo[who]["email"])
    page.locator("input[type=password]").first.fill(stack.demo[who]["password"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/inbox/**")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_question_on_another_site_is_answered_with_a_citation_that_opens_the_passage(
    browser: Browser, stack: Stack, shop: str, faults: list[str], shots: Path, size: dict[str, int]
) -> None:
    context = browser.new_context(viewport=size)  # type: ignore[arg-type]
    page = watch(context.new_page(), faults)
    frame = open_widget(page, shop)
    ask(frame, QUESTION)
    citation = frame.locator("a[data-citation]").first
    citation.wait_for(timeout=60_000)
    expect(frame.get_by_text("paste one line before the closing").first).to_be_visible()
    page.screenshot(path=str(shots / f"answer-{size['width']}.png"))
    with context.expect_page() as opened:
        citation.click()
    passage = watch(opened.value, faults)
    passage.wait_for_load_state()
    assert passage.url.startswith(stack.base)
    shown = passage.locator("#passage")
    expect(shown).to_contain_text("paste one line before the closing")
    expect(shown).to_be_in_viewport()
    passage.screenshot(path=str(shots / f"passage-{size['width']}.png"))
    assert faults == []
    context.close()


def test_a_visitor_asks_for_a_person_and_an_agent_answers(
    browser: Browser, stack: Stack, shop: str, faults: list[str], shots: Path
) -> None:
    visitor_context, agent_context = browser.new_context(viewport=DESKTOP), browser.new_context(viewport=DESKTOP)
    page = watch(visitor_context.new_page(), faults)
    frame = open_widget(page, shop)
    ask(frame, "My parcel number Q7 has not arrived, and nobody told me why.")
    expect(frame.get_by_text("I could not find an answer").first).to_be_visible(timeout=60_000)
    frame.get_by_role("button", name="Talk to a person").click()
    expect(frame.get_by_text("a colleague").first).to_be_visible(timeout=15_000)

    agent = watch(agent_context.new_page(), faults)
    sign_in(agent, stack, "agent")
    agent.get_by_text("Unassigned").first.click()
    agent.get_by_text("Waiting", exact=True).first.click()
    composer = agent.get_by_role("textbox", name="Write a reply to the visitor")
    composer.fill("I have looked it up: your parcel arrives tomorrow.")
    composer.press("Enter")
    expect(frame.get_by_text("your parcel arrives tomorrow").first).to_be_visible(timeout=15_000)
    page.screenshot(path=str(shots / "handover-visitor.png"))
    agent.screenshot(path=str(shots / "handover-agent.png"))
    assert faults == []
    visitor_context.close()
    agent_context.close()


def test_a_site_that_is_not_allowed_shows_no_chat(browser: Browser, stack: Stack, shop: str, faults: list[str]) -> None:
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    # The same server under its other name is another origin.
    page.goto(shop.replace("127.0.0.1", "localhost"))
    page.get_by_role("button", name="Open chat").click()
    page.wait_for_timeout(1500)
    frames: list[Any] = [frame for frame in page.frames if "/widget/frame" in frame.url]
    assert all(frame.locator("textarea").count() == 0 for frame in frames)
    context.close()


def test_an_agent_watches_a_draft_being_written_and_sends_it_edited(
    browser: Browser, stack: Stack, faults: list[str], shots: Path
) -> None:
    with stack.client() as client:
        made = client.post("/api/v1/conversations", json={"contact": {"name": "Draft check"}}).json()
        client.patch(f"/api/v1/conversations/{made['id']}", json={"handler": "person"})
        client.post(f"/api/v1/conversations/{made['id']}/messages", json={"role": "contact", "text": QUESTION})
    context = browser.new_context(viewport=DESKTOP)
    agent = watch(context.new_page(), faults)
    sign_in(agent, stack, "agent")
    agent.get_by_text("All open").first.click()
    agent.get_by_text("Draft check").first.click()
    agent.get_by_role("button", name="Draft with AI").click()
    agent.get_by_role("button", name="Edit").wait_for(timeout=60_000)
    agent.screenshot(path=str(shots / "draft.png"))
    agent.get_by_role("button", name="Edit").click()
    composer = agent.get_by_role("textbox", name="Write a reply to the visitor")
    composer.fill("Paste the line that the guide shows before the closing body tag.")
    composer.press("Enter")
    expect(agent.get_by_role("log").get_by_text("Paste the line that the guide shows")).to_be_visible(timeout=15_000)
    with stack.client() as client:
        items = client.get(f"/api/v1/conversations/{made['id']}/messages").json()["items"]
    assert [item["role"] for item in items] == ["contact", "agent"]
    assert faults == []
    context.close()
