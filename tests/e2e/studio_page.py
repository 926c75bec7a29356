"""Working the studio page in a browser."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

WIDE = {"width": 1440, "height": 1000}
# The first call of a task may load its model.
LOADING_MS = 90_000


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
