"""The console shows what was found out about messages, in the agent's language, with the real models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import DESKTOP, PHONE, watch
from tests.e2e.test_main_path import sign_in
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.browser]
READ_MS = 30_000


@pytest.fixture
def talk(stack: Stack) -> Callable[..., str]:
    """Make a conversation that a person has, in which the contact says these texts."""

    def made(name: str, *texts: str) -> str:
        with stack.client() as client:
            found: str = client.post("/api/v1/conversations", json={"contact": {"name": name}}).json()["id"]
            client.patch(f"/api/v1/conversations/{found}", json={"handler": "person"})
            for text in texts:
                client.post(f"/api/v1/conversations/{found}/messages", json={"role": "contact", "text": text})
        return found

    return made


def _console(browser: Browser, stack: Stack, faults: list[str], size: dict[str, int] = DESKTOP) -> Page:
    page = watch(browser.new_context(viewport=size).new_page(), faults)  # type: ignore[arg-type]
    sign_in(page, stack, "agent")
    page.locator("#inbox").wait_for()
    return page


def test_rows_messages_and_the_picture_tell_the_mood(
    browser: Browser, stack: Stack, talk: Callable[..., str], faults: list[str], shots: Path
) -> None:
    page = _console(browser, stack, faults)
    page.get_by_text("All open").first.click()
    # The console is open before the message is read: it is told.
    talk(
        "Mood check", "I am very angry, this is the worst shop ever.", "Thank you, that was quick!", "I love it, great!"
    )
    row = page.locator(".conv", has_text="Mood check")
    expect(row.locator(".mood .sr-only")).to_have_text("Positive", timeout=READ_MS)
    expect(row.locator(".lang .sr-only")).to_have_text("Language: English")
    row.click()
    log = page.get_by_role("log")
    expect(log.get_by_text("Negative", exact=True)).to_be_visible(timeout=READ_MS)
    expect(log.get_by_text("Positive", exact=True)).to_have_count(2)
    picture = page.get_by_role("img", name="Mood of 3 messages; the last one: Positive")
    expect(picture).to_be_visible()
    page.screenshot(path=str(shots / "mood.png"))
    page.locator("#aside-mood").get_by_role("button", name="Table").click()
    expect(page.locator("#aside-mood tbody tr")).to_have_count(3)
    expect(page.locator("#aside-mood tbody tr").first).to_contain_text("Negative")
    assert faults == []
    page.context.close()


def test_the_list_shows_one_mood_and_a_message_says_why_it_has_its_own(
    browser: Browser, stack: Stack, talk: Callable[..., str], faults: list[str], shots: Path
) -> None:
    talk("Pleased check", "Thank you, that was wonderful and very quick!")
    found = talk("Angry check", "This is terrible, I am really angry.")
    page = _console(browser, stack, faults)
    page.goto(f"{stack.base}/inbox/?view=open&c={found}")
    expect(page.locator(".conv", has_text="Pleased check").locator(".mood--positive")).to_be_visible(timeout=READ_MS)
    page.get_by_label("Mood", exact=True).select_option("negative")
    expect(page.locator(".conv", has_text="Pleased check")).to_have_count(0)
    expect(page.locator(".conv", has_text="Angry check")).to_be_visible(timeout=READ_MS)
    why = page.get_by_role("button", name="Why this mood?")
    why.click(timeout=READ_MS)
    expect(page.get_by_text("Words that count most for Negative")).to_contain_text("terrible", timeout=60_000)
    expect(page.locator(".word--for", has_text="terrible")).to_be_visible()
    page.screenshot(path=str(shots / "mood-why.png"))
    why.click()
    expect(page.locator(".words")).to_be_hidden()
    assert faults == []
    page.context.close()


def test_a_suggested_label_is_one_click(
    browser: Browser, stack: Stack, talk: Callable[..., str], faults: list[str]
) -> None:
    found = talk("Label check", "I would like to return this and get a refund.")
    page = _console(browser, stack, faults)
    page.goto(f"{stack.base}/inbox/?view=open&c={found}")
    page.get_by_role("button", name="return or refund").click(timeout=READ_MS)
    expect(page.get_by_role("button", name="Remove the label return or refund")).to_be_visible()
    with stack.client() as client:
        assert client.get(f"/api/v1/conversations/{found}").json()["labels"] == ["return or refund"]
    page.context.close()


def test_an_agent_reads_and_writes_in_another_language_than_the_visitor(
    browser: Browser, stack: Stack, talk: Callable[..., str], faults: list[str], shots: Path
) -> None:
    found = talk("Joana", "Bom dia, quando chega a minha encomenda 4411?")
    page = _console(browser, stack, faults)
    page.goto(f"{stack.base}/inbox/?view=open&c={found}")
    page.get_by_label("Read messages in").select_option("en")
    log = page.get_by_role("log")
    expect(log.get_by_text("when does my order 4411 arrive")).to_be_visible(timeout=READ_MS)
    log.get_by_role("button", name="Show the original").click()
    expect(log.get_by_text("Bom dia, quando chega")).to_be_visible()
    box = page.get_by_role("textbox", name="Write a reply to the visitor")
    expect(page.get_by_label("Send in Portuguese")).to_be_checked(timeout=READ_MS)
    box.fill("Your order arrives tomorrow morning.")
    box.press("Enter")
    expect(log.get_by_role("button", name="Show what was sent")).to_be_visible(timeout=READ_MS)
    page.screenshot(path=str(shots / "translated.png"))
    with stack.client() as client:
        sent: dict[str, Any] = client.get(f"/api/v1/conversations/{found}/messages").json()["items"][-1]
    assert sent["original"] == {"text": "Your order arrives tomorrow morning.", "language": "en"}
    assert "amanhã" in sent["text"]
    assert faults == []
    page.context.close()


def test_a_language_without_a_translation_says_so(
    browser: Browser, stack: Stack, talk: Callable[..., str], faults: list[str]
) -> None:
    found = talk("Wei", "我的订单还没有到, 我等了两个星期了。")
    page = _console(browser, stack, faults)
    page.goto(f"{stack.base}/inbox/?view=open&c={found}")
    page.get_by_label("Read messages in").select_option("en")
    expect(page.get_by_text("There is no translation from this language: Chinese")).to_be_visible(timeout=READ_MS)
    expect(page.get_by_text("There is no translation from English to Chinese")).to_be_visible(timeout=READ_MS)
    assert faults == []
    page.context.close()


def test_a_search_by_meaning_finds_other_words(
    browser: Browser, stack: Stack, talk: Callable[..., str], faults: list[str]
) -> None:
    found = talk("Meaning check", "The kettle that you delivered leaks water all over the kitchen.")
    page = _console(browser, stack, faults, PHONE)
    page.goto(f"{stack.base}/inbox/?view=open")
    row = page.locator(f'[data-conversation="{found}"]')
    expect(row.locator(".lang")).to_be_visible(timeout=READ_MS)
    page.get_by_role("button", name="Search by meaning").click()
    page.get_by_role("searchbox").fill("appliance is dripping")
    expect(page.locator(".conv").first).to_contain_text("leaks water", timeout=READ_MS)
    assert faults == []
    page.context.close()


def test_resolving_leaves_a_summary_for_the_team(
    browser: Browser, stack: Stack, talk: Callable[..., str], faults: list[str], shots: Path
) -> None:
    found = talk(
        "Summary check",
        "My order 4411 has not arrived.",
        "It should have been here last week.",
        "The courier says that it was returned to the warehouse.",
        "Please send it again to the same address.",
    )
    page = _console(browser, stack, faults)
    page.goto(f"{stack.base}/inbox/?view=open&c={found}")
    page.get_by_role("button", name="Resolve", exact=True).click()
    expect(page.get_by_text("Summary of the resolved conversation")).to_be_visible(timeout=READ_MS)
    page.screenshot(path=str(shots / "summary.png"))
    assert faults == []
    page.context.close()
