"""Results side by side, and classifiers, in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.studio_page import LOADING_MS
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.browser]


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
