"""Where texts of the studio come from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.studio_page import text_box
from tests.knowledge.test_crawl import Site
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.browser]


@pytest.fixture
def site() -> Iterator[Site]:
    running = Site()
    yield running
    running.close()


def test_a_file_becomes_the_text(studio: Callable[..., Page], tmp_path: Path) -> None:
    page = studio("?task=summarize")
    path = tmp_path / "report.md"
    path.write_text("# Report\n\nSales rose by a third. Costs stayed as they were.\n", encoding="utf-8")
    page.locator("input[type=file]").set_input_files(path)
    expect(text_box(page)).to_have_value("Sales rose by a third. Costs stayed as they were.")
    expect(page.get_by_text("Read from Report.")).to_be_visible()


def test_a_file_that_cannot_be_read_leaves_the_text_alone(studio: Callable[..., Page], tmp_path: Path) -> None:
    page = studio()
    text_box(page).fill("Words that are there.")
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    page.locator("input[type=file]").set_input_files(path)
    expect(page.get_by_text("This kind of file cannot be read.")).to_be_visible()
    expect(text_box(page)).to_have_value("Words that are there.")


def test_a_web_page_becomes_the_text(studio: Callable[..., Page], site: Site) -> None:
    site.page("/hours.html", text="The shop opens at eight.")
    page = studio()
    page.get_by_role("button", name="Web page").click()
    page.get_by_label("Address").fill(f"{site.base}/hours.html")
    page.keyboard.press("Enter")
    expect(text_box(page)).to_have_value(re.compile("The shop opens at eight."))


def test_a_recent_conversation_becomes_the_text(studio: Callable[..., Page], stack: Stack) -> None:
    with stack.client() as client:
        made = client.post("/api/v1/conversations", json={"contact": {"name": "Studio check"}}).json()
        client.patch(f"/api/v1/conversations/{made['id']}", json={"handler": "person"})
        path = f"/api/v1/conversations/{made['id']}/messages"
        client.post(path, json={"role": "contact", "text": "My lamp is broken."})
        client.post(path, json={"role": "agent", "text": "A note among us.", "private": True})
        client.post(path, json={"role": "agent", "text": "I am sorry to hear that."})
    page = studio()
    page.get_by_role("button", name="Conversation").click()
    page.get_by_role("button", name="Studio check").click()
    expect(text_box(page)).to_have_value("Visitor: My lamp is broken.\nAgent: I am sorry to hear that.")
    page.get_by_role("button", name="Conversation").click()
    page.get_by_label("Only what the visitor wrote").check()
    page.get_by_role("button", name="Studio check").click()
    expect(text_box(page)).to_have_value("My lamp is broken.")
