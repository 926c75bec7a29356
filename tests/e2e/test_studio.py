"""The studio in a browser: tasks drawn, explanations, shared addresses, keys, errors."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import DESKTOP, PHONE
from tests.e2e.studio_page import LOADING_MS, choose, example, run, text_box
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.browser]
# What each task's example shows: where, and a text that is there whatever else the model says.
PICTURES: dict[str, tuple[str, str | re.Pattern[str]]] = {
    "sentiment": (".gauge__label", re.compile("positive|neutral|negative", re.IGNORECASE)),
    "classify": (".verdict__text", "billing"),
    "entities": (".marked mark.span", "Ana Ferreira"),
    "redact": (".pane:nth-child(2) .pane__body", "[person_1]"),
    "language": (".bigword__word", "Portuguese"),
    "keywords": (".cloud__word", re.compile("library", re.IGNORECASE)),
    "moderate": (".verdict__text", "Flagged"),
    "summarize": (".claim[data-supported='true'] .claim__text", re.compile("library|roof|project")),
    "translate": (".pane:nth-child(2) .pane__body", "https://example.com/track/4711"),
    "generate": (".pane:nth-child(2) .pane__title", "Variant 2"),
    "answer": (".marked .span--answer", "Monday"),
}


# -- tasks ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("task", PICTURES)
def test_each_task_is_drawn_first_then_told_in_figures(studio: Callable[..., Page], shots: Path, task: str) -> None:
    page = studio(f"?task={task}")
    example(page)
    where, what = PICTURES[task]
    expect(page.locator(f".result__picture {where}").filter(has_text=what).first).to_be_visible()
    figures = page.get_by_role("tabpanel", name="Figures").get_by_role("table").first
    expect(figures.get_by_role("row").nth(1)).to_be_visible()
    expect(page.locator(".result__head .badge").first).not_to_have_text("–")
    page.screenshot(path=str(shots / f"studio-{task}.png"), full_page=True)


def test_the_tabs_below_the_picture_hold_the_answer_and_the_command_that_makes_it(
    studio: Callable[..., Page], stack: Stack
) -> None:
    page = studio("?task=entities")
    text_box(page).fill('Don\'t send it to Ana Ferreira; "Acme" costs $5 & more.')
    run(page)
    page.get_by_role("tab", name="JSON").click()
    shown = json.loads(page.locator(".code__text").inner_text())
    page.get_by_role("tab", name="curl").click()
    words = shlex.split(page.locator(".code__text").inner_text().replace("\\\n", " "))
    assert words[:3] == ["curl", "-X", "POST"]
    headers = dict(word.split(": ", 1) for word in words if ": " in word and not word.startswith("{"))
    headers["Authorization"] = headers["Authorization"].replace("$NLPSUITE_API_KEY", stack.demo["api_key"])
    answer = httpx.post(words[3], headers=headers, content=words[-1].encode(), timeout=30)
    assert answer.json() == shown


def test_an_explanation_marks_the_words_that_decided(studio: Callable[..., Page], shots: Path) -> None:
    page = studio("?task=sentiment")
    text_box(page).fill("The room was wonderful.")
    page.get_by_label("Explain: which words decided").check()
    run(page)
    strongest = page.locator(".token--for").filter(has_text="wonderful")
    expect(strongest).to_be_visible()
    expect(page.get_by_text("speaks for “positive”")).to_be_visible()
    weights = page.get_by_role("table", name="What decided")
    expect(weights.get_by_role("row").nth(1)).to_contain_text("wonderful")
    page.screenshot(path=str(shots / "studio-explained.png"), full_page=True)


def test_moderation_explains_each_category_that_it_flags(studio: Callable[..., Page], shots: Path) -> None:
    page = studio("?task=moderate")
    text_box(page).fill("You are a pathetic idiot. I will come to your house and kill you.")
    page.get_by_label("Explain: which words decided").check()
    run(page)
    parts = page.locator(".picture__part")
    threat = parts.filter(has=page.get_by_role("heading", name="What decided: threat"))
    expect(threat.locator(".token--for").filter(has_text="kill")).to_be_visible()
    insult = parts.filter(has=page.get_by_role("heading", name="What decided: insult"))
    expect(insult.locator(".token--for").filter(has_text="idiot")).to_be_visible()
    weights = page.get_by_role("table", name="What decided: threat")
    expect(weights.get_by_role("row").filter(has_text="kill")).to_be_visible()
    page.screenshot(path=str(shots / "studio-moderation-explained.png"), full_page=True)


def test_one_category_is_explained_where_it_is_chosen(studio: Callable[..., Page]) -> None:
    page = studio("?task=moderate")
    text_box(page).fill("Click here to claim your free prize now.")
    page.get_by_label("Explain: which words decided").check()
    page.get_by_text("More options").click()
    page.get_by_label("Category").select_option("threat")
    run(page)
    expect(page.get_by_role("heading", name="What decided")).to_have_text(["What decided: threat"])


def test_a_task_shows_the_card_of_its_model(studio: Callable[..., Page], stack: Stack) -> None:
    with stack.client() as client:
        items = client.get("/api/v1/nlp").json()["items"]
    card = next(item["card"] for item in items if item["task"] == "sentiment")
    page = studio("?task=sentiment")
    page.get_by_text("Model card").click()
    measured = page.get_by_role("table", name="Measured quality")
    expect(measured.get_by_role("row").nth(1)).to_contain_text(card["quality"]["rows"][0]["metric"])
    expect(measured.get_by_role("columnheader", name="VADER")).to_be_visible()
    expect(page.get_by_text(card["quality"]["data"])).to_be_visible()


def test_a_changed_text_marks_the_result_as_old(studio: Callable[..., Page]) -> None:
    page = studio("?task=language")
    text_box(page).fill("Good morning to you all, dear friends.")
    run(page)
    note = page.get_by_text("Made from another text or other options")
    expect(note).to_be_hidden()
    text_box(page).fill("Bom dia a todos.")
    expect(note).to_be_visible()
    run(page)
    expect(note).to_be_hidden()
    expect(page.locator(".bigword__word")).to_have_text("Portuguese")


def test_an_answer_that_is_not_in_the_text_is_told(studio: Callable[..., Page]) -> None:
    page = studio("?task=answer")
    text_box(page).fill("The lamp is blue and weighs two kilograms.")
    page.get_by_label("Question").fill("Who painted the Sistine Chapel?")
    run(page)
    expect(page.get_by_text("The answer is not in the text.")).to_be_visible()


def test_a_question_to_a_collection_needs_no_text(studio: Callable[..., Page]) -> None:
    page = studio("?task=answer")
    page.get_by_label("Question").fill("How do I put the chat widget on my web site?")
    expect(page.get_by_role("button", name="Run the task")).to_be_disabled()
    page.get_by_label("Collection").select_option("*")
    run(page)
    expect(page.locator(".cites__item a")).to_be_visible()


# -- the address ---------------------------------------------------------------------------------------------------------
def test_the_address_holds_task_and_options_and_never_a_text(studio: Callable[..., Page]) -> None:
    page = studio()
    choose(page, "classify")
    labels = page.get_by_label("Labels", exact=True)
    labels.fill("billing")
    labels.press("Enter")
    labels.fill("delivery,")
    labels.press("Enter")
    text_box(page).fill("cnry-secret words of a customer")
    choose(page, "answer")
    page.get_by_label("Question").fill("cnry-question of a customer")
    assert "cnry" not in page.url
    choose(page, "classify")
    assert "cnry" not in page.url
    again = studio(page.url.split("/studio/")[1])
    expect(again.locator(".task[aria-selected=true]")).to_have_text("Classify")
    expect(again.locator(".chip--set")).to_have_text(["billing", "delivery"])
    expect(text_box(again)).to_have_value("")


def test_an_address_with_nonsense_opens_the_first_task(studio: Callable[..., Page]) -> None:
    page = studio("?task=constructor&o.__proto__=%7B%7D&o.labels=%5B&o.nothing=1")
    expect(page.locator(".task[aria-selected=true]")).to_have_text("Sentiment")
    expect(page.get_by_label("Aspects")).to_be_visible()


# -- keys, waiting, errors -----------------------------------------------------------------------------------------------
def test_the_page_is_worked_with_the_keys_alone(studio: Callable[..., Page]) -> None:
    page = studio()
    page.locator(".task[aria-selected=true]").focus()
    page.keyboard.press("End")
    expect(page.locator(".task[aria-selected=true]")).to_have_text("Answer")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".task:focus")).to_have_text("Classify")
    choose(page, "language")
    text_box(page).focus()
    page.keyboard.type("Guten Morgen, meine Damen und Herren.")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".bigword__word")).to_have_text("German")
    page.get_by_role("tab", name="Figures").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="JSON")).to_be_focused()
    expect(page.locator(".code__text")).to_contain_text('"language": "de"')


def test_waiting_shows_and_escape_ends_it(studio: Callable[..., Page], shots: Path) -> None:
    page = studio("?task=language")
    page.route("**/api/v1/nlp/language", lambda route: None)
    text_box(page).fill("Words that wait.")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".result[aria-busy=true]").get_by_text("Language is running")).to_be_visible()
    page.screenshot(path=str(shots / "studio-busy.png"))
    page.keyboard.press("Escape")
    expect(page.locator(".result")).to_have_attribute("data-state", "empty")
    expect(text_box(page)).to_have_value("Words that wait.")


def test_a_refusal_says_what_happened_and_keeps_the_text(studio: Callable[..., Page], shots: Path) -> None:
    page = studio("?task=language")

    def busy(route: Route) -> None:
        body = {"error": {"code": "busy", "message": "at capacity", "request_id": "r-4711"}}
        route.fulfill(status=503, json=body)

    page.route("**/api/v1/nlp/language", busy)
    text_box(page).fill("Good evening to all of you.")
    page.keyboard.press("Control+Enter")
    alert = page.locator(".result").get_by_role("alert")
    expect(alert).to_contain_text("The models are busy.")
    expect(alert).to_contain_text("r-4711")
    page.screenshot(path=str(shots / "studio-refused.png"))
    page.unroute("**/api/v1/nlp/language")
    alert.get_by_role("button", name="Try again").click()
    expect(page.locator(".bigword__word")).to_have_text("English")


def test_a_lost_connection_is_told(studio: Callable[..., Page]) -> None:
    page = studio("?task=language")
    text_box(page).fill("Good evening to all of you.")
    page.context.set_offline(True)
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("The server did not answer.")).to_be_visible()


def test_a_wrong_option_is_named(studio: Callable[..., Page]) -> None:
    page = studio("?task=keywords")
    text_box(page).fill("Solar panels on the roof of the library.")
    page.get_by_label("Phrases").fill("500")
    page.get_by_role("button", name="Run the task").click()
    expect(page.locator(".result__details")).to_contain_text("Phrases:")


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script> <img src=x onerror=alert(1)>",
        "مرحبا بالعالم، كيف حالك اليوم؟",
        "🙂🙃 \u200f\u202e\x07 =1+1",
    ],
    ids=["html", "rtl", "odd"],
)
def test_a_hostile_text_is_shown_as_text(studio: Callable[..., Page], text: str) -> None:
    page = studio("?task=redact")
    text_box(page).fill(text)
    run(page)
    expect(page.locator(".pane:nth-child(2) .pane__body")).to_contain_text(text.strip()[:10])
    expect(page.locator(".result img, .result script")).to_have_count(0)


# -- looks ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["?task=moderate", "compare/?task=language", "classifiers/"])
@pytest.mark.parametrize(
    ("name", "size", "context"),
    [
        ("dark", DESKTOP, {"color_scheme": "dark"}),
        ("phone", PHONE, {"has_touch": True, "is_mobile": True}),
        ("small", {"width": 320, "height": 640}, {"has_touch": True, "is_mobile": True}),
        ("chinese", DESKTOP, {"locale": "zh-CN"}),
    ],
    ids=["dark", "phone", "small", "chinese"],
)
def test_the_pages_fit(
    studio: Callable[..., Page], shots: Path, path: str, name: str, size: dict[str, int], context: dict[str, Any]
) -> None:
    page = studio(path, size, **context)
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    page.screenshot(path=str(shots / f"studio-{path.split('/')[0].split('?')[0] or 'try'}-{name}.png"), full_page=True)
    assert overflow <= 0


def test_the_interface_speaks_chinese(studio: Callable[..., Page], shots: Path) -> None:
    page = studio("?task=sentiment", locale="zh-CN")
    expect(page.get_by_role("heading", level=1)).to_have_text("试用文本")
    expect(page.locator(".task")).to_have_text(
        ["情感", "分类", "实体", "脱敏", "语言", "关键词", "审核", "摘要", "翻译", "生成", "问答"]
    )
    page.get_by_role("button", name="试一个例子").click()
    page.locator(".result[data-state=done]").wait_for(timeout=LOADING_MS)
    expect(page.locator(".gauge__label")).to_have_text(re.compile("正面|中性|负面"))
    expect(page.get_by_role("tab", name="数据")).to_be_visible()
    page.screenshot(path=str(shots / "studio-result-chinese.png"), full_page=True)
