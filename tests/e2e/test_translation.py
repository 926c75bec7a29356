"""The page of translation in a browser: documents that come back, terms, approved texts, keys, phone, both languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import DESKTOP, PHONE, watch
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.browser]
NOTE = "# Your order\n\nYour **order** {number} has been [shipped](https://shop.example/x).\n"


@pytest.fixture
def opened(browser: Browser, stack: Stack, faults: list[str]) -> Any:
    contexts: list[Any] = []

    def make(tab: str, who: str = "owner", **options: Any) -> Page:
        contexts.append(browser.new_context(**({"viewport": DESKTOP} | options)))
        page = watch(contexts[-1].new_page(), faults)
        page.goto(f"{stack.base}/studio/translation/?tab={tab}")
        page.locator("input[name=login]").fill(stack.demo[who]["email"])
        page.locator("input[type=password]").fill(stack.demo[who]["password"])
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/studio/translation/?tab={tab}")
        expect(page.locator("[data-part='list']")).to_have_attribute("aria-busy", "false", timeout=20_000)
        return page

    yield make
    for context in contexts:
        context.close()
    assert faults == []


def test_a_document_comes_back_translated_in_its_format(opened: Any, shots: Path) -> None:
    page = opened("documents")
    page.locator("[data-part='file']").set_input_files(
        {"name": "note.md", "mimeType": "text/markdown", "buffer": NOTE.encode()}
    )
    page.get_by_label("To", exact=True).select_option("pt")
    page.get_by_role("button", name="Translate").click()
    row = page.get_by_role("row").filter(has_text="note.md").first
    expect(row.get_by_text("Ready", exact=True)).to_be_visible(timeout=60_000)
    with page.expect_download() as waiting:
        row.get_by_role("link", name="Download note.md").click()
    text = Path(waiting.value.path()).read_text()
    assert waiting.value.suggested_filename == "note.pt.md"
    assert text.startswith("# ")
    assert [text.count(kept) for kept in ("**", "{number}", "](https://shop.example/x)")] == [2, 1, 1]
    assert "pedido" in text.lower()
    page.screenshot(path=str(shots / "translation-documents.png"), full_page=True)


def test_a_file_that_is_no_document_says_why(opened: Any) -> None:
    page = opened("documents")
    page.locator("[data-part='file']").set_input_files({"name": "x.exe", "mimeType": "application/x", "buffer": b"MZ"})
    page.get_by_role("button", name="Translate").click()
    expect(page.get_by_role("alert")).to_contain_text("not a file of a format that can be translated")
    page.locator("[data-part='file']").set_input_files({"name": "x.docx", "mimeType": "application/x", "buffer": b"no"})
    page.get_by_role("button", name="Translate").click()
    expect(page.get_by_role("row").filter(has_text="x.docx").first).to_contain_text("could not be read", timeout=30_000)


def test_a_term_is_kept_by_keys_alone_and_removed(opened: Any, shots: Path) -> None:
    page = opened("glossary")
    page.get_by_label("Term", exact=True).focus()
    page.keyboard.type("pallet")
    page.keyboard.press("Tab")
    page.keyboard.type("estrado")
    page.keyboard.press("Enter")
    row = page.get_by_role("row").filter(has_text="estrado")
    expect(row).to_be_visible()
    expect(page.get_by_label("Term", exact=True)).to_be_focused()
    page.screenshot(path=str(shots / "translation-glossary.png"), full_page=True)
    row.get_by_role("button", name="Remove the term pallet").click()
    expect(row).to_have_count(0)


def test_approved_texts_are_found_by_what_they_contain(opened: Any, shots: Path) -> None:
    page = opened("memory")
    for text, translation in (("Good morning.", "Bom dia."), ("Good night.", "Boa noite.")):
        page.get_by_label("Text", exact=True).fill(text)
        page.get_by_label("Approved translation", exact=True).fill(translation)
        page.get_by_role("button", name="Keep").click()
        expect(page.get_by_role("row").filter(has_text=translation)).to_be_visible()
    page.get_by_label("Search approved texts").fill("night")
    expect(page.get_by_role("row").filter(has_text="Bom dia.")).to_have_count(0)
    expect(page.get_by_role("row").filter(has_text="Boa noite.")).to_be_visible()
    page.screenshot(path=str(shots / "translation-memory.png"), full_page=True)
    page.get_by_label("Search approved texts").fill("nothing like it")
    expect(page.get_by_text("No approved text contains that.")).to_be_visible()


def test_who_may_not_write_sees_no_form(opened: Any) -> None:
    page = opened("glossary", who="agent")
    expect(page.get_by_role("button", name="Keep")).to_have_count(0)


@pytest.mark.parametrize("tab", ["documents", "glossary", "memory"])
@pytest.mark.parametrize(
    "options",
    [{"viewport": PHONE}, {"viewport": PHONE, "color_scheme": "dark", "locale": "zh-CN"}],
    ids=["phone", "dark phone in Chinese"],
)
def test_the_page_fits_a_phone(opened: Any, shots: Path, tab: str, options: dict[str, Any]) -> None:
    page = opened(tab, **options)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.screenshot(path=str(shots / f"translation-{tab}-{options.get('locale', 'en')}.png"), full_page=True)
