"""The studio in a browser: tasks drawn, explanations, inputs, shared addresses, comparison, classifiers, keys, errors."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, StorageState, expect

from tests.e2e.conftest import DESKTOP, PHONE, watch
from tests.knowledge.test_crawl import Site
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.browser]
WIDE = {"width": 1440, "height": 1000}
# The first call of a task may load its model.
LOADING_MS = 90_000
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


@pytest.fixture(scope="module")
def signed_in(browser: Browser, stack: Stack) -> Callable[[str], StorageState]:
    """The cookies of a member: signing in for every test would run into the limit on sign-ins."""
    kept: dict[str, StorageState] = {}

    def state(who: str) -> StorageState:
        if who not in kept:
            context = browser.new_context()
            page = context.new_page()
            page.goto(f"{stack.base}/studio/")
            page.locator("input[name=login]").fill(stack.demo[who]["email"])
            page.locator("input[type=password]").fill(stack.demo[who]["password"])
            page.keyboard.press("Enter")
            page.wait_for_url(f"{stack.base}/studio/**")
            kept[who] = context.storage_state()
            context.close()
        return kept[who]

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


@pytest.fixture
def site() -> Iterator[Site]:
    running = Site()
    yield running
    running.close()


def choose(page: Page, task: str) -> None:
    page.locator(f".task[data-task={task}]").click()


def example(page: Page) -> None:
    page.locator(".result").get_by_role("button", name="Try an example").click()
    page.locator(".result[data-state=done]").wait_for(timeout=LOADING_MS)


def run(page: Page) -> None:
    page.get_by_role("button", name="Run the task").click()
    page.locator(".result[data-state=done]").wait_for(timeout=LOADING_MS)


def text_box(page: Page) -> Any:
    return page.locator("#text")


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


# -- where texts come from -----------------------------------------------------------------------------------------------
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


# -- side by side --------------------------------------------------------------------------------------------------------
def test_columns_are_compared_and_differences_marked(studio: Callable[..., Page], shots: Path) -> None:
    page = studio("compare/?task=keywords")
    page.get_by_role("button", name="Try an example").click()
    columns = page.locator(".column")
    expect(columns.locator(".result[data-state=done]")).to_have_count(3, timeout=LOADING_MS)
    glance = page.get_by_role("table", name="At a glance")
    expect(glance.get_by_role("rowheader")).to_have_text(["A", "B", "C"])
    expect(glance.get_by_text("differs from A").first).to_be_visible()
    page.screenshot(path=str(shots / "studio-compare.png"), full_page=True)
    page.get_by_role("button", name="Add a column").click()
    expect(columns).to_have_count(4)
    expect(page.get_by_role("button", name="Add a column")).to_be_disabled()
    columns.nth(3).get_by_role("button", name="Remove this column").click()
    columns.nth(2).get_by_role("button", name="Remove this column").click()
    expect(page.get_by_role("button", name="Remove this column")).to_have_count(0)
    assert page.url.count("c=") == 2


def test_models_of_one_role_are_the_columns_to_begin_with(studio: Callable[..., Page], stack: Stack) -> None:
    page = studio("compare/?task=generate")
    expect(page.locator(".column__name").nth(1)).to_contain_text(stack.demo["chat_model"])
    expect(page.locator(".column").nth(1).get_by_label("Model")).not_to_have_value("")


# -- classifiers ---------------------------------------------------------------------------------------------------------
TABLE = """billing, I was charged twice this month
billing, The invoice shows the wrong amount
billing, Can I get a receipt with our tax number?
delivery, Where is my parcel?
delivery\tThe tracking has not moved for days
delivery, "It says delivered, but nothing came"
no separator here"""


def test_a_classifier_is_taught_tried_taught_again_and_removed(
    studio: Callable[..., Page], stack: Stack, shots: Path
) -> None:
    page = studio("classifiers/")
    page.locator("[data-part=new]").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Triage")
    expect(dialog.get_by_role("button", name="Train")).to_be_disabled()
    dialog.get_by_text("Paste a table").click()
    dialog.locator("#editor-table").fill(TABLE)
    dialog.get_by_role("button", name="Take over").click()
    expect(dialog.get_by_text("6 examples taken over, 1 lines left out.")).to_be_visible()
    page.screenshot(path=str(shots / "studio-teach.png"))
    dialog.get_by_role("button", name="Train").click()
    expect(page.locator(".figures").get_by_text("examples, 2 labels")).to_be_visible(timeout=LOADING_MS)
    page.get_by_label("Try it").fill("You took the money from my card two times")
    page.get_by_role("button", name="Classify").click()
    expect(page.locator(".detail .verdict__text")).to_have_text("billing", timeout=LOADING_MS)
    page.screenshot(path=str(shots / "studio-classifier.png"), full_page=True)

    page.get_by_role("button", name="Change the examples").click()
    expect(dialog.locator("textarea").first).to_have_value(re.compile("charged twice"))
    dialog.get_by_role("button", name="Add a label").click()
    dialog.get_by_label("Label", exact=True).last.fill("praise")
    dialog.get_by_label("Examples of this label").last.fill("Thank you so much\nGreat service\nI love this lamp")
    dialog.get_by_role("button", name="Train a new version").click()
    versions = page.get_by_role("table", name="Versions")
    expect(versions.get_by_role("row").nth(1)).to_contain_text("yes", timeout=LOADING_MS)
    expect(versions.get_by_role("rowheader")).to_have_text(["2", "1"])
    page.get_by_role("button", name="Let version 1 answer").click()
    expect(versions.get_by_role("row").nth(2)).to_contain_text("yes")

    page.on("dialog", lambda question: question.accept())
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No classifiers yet")).to_be_visible()
    with stack.client() as client:
        assert client.get("/api/v1/analysis/classifiers").json()["items"] == []


def test_an_agent_reads_classifiers_and_teaches_none(studio: Callable[..., Page]) -> None:
    page = studio("classifiers/", who="agent")
    expect(page.get_by_text("No classifiers yet")).to_be_visible()
    expect(page.get_by_role("button", name="New classifier")).to_have_count(0)


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
