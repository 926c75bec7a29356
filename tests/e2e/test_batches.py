"""Batches in a browser: upload, columns, progress, charts and the texts behind a bar, languages, themes, a killed worker."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.e2e.conftest import DESKTOP, PHONE, watch
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.browser]
KINDS = (
    "The parcel arrived late because the courier lost it on delivery.",
    "Wonderful chair, very comfortable, I love it.",
    "Die Lieferung kam zu spät und der Karton war beschädigt.",
    "I was charged twice for the invoice, please refund the payment.",
)


def _csv(rows: int) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["nr", "day", "shop", "words"])
    for n in range(rows):
        text = "" if n == 7 else f"{KINDS[n % 4]} Case {n}."
        writer.writerow([n, f"2026-01-{1 + n % 20:02}", "north" if n % 3 else "south", text])
    return out.getvalue().encode()


def _sign_in(browser: Browser, stack: Stack, faults: list[str], *, who: str = "analyst", **context: Any) -> Page:
    page = watch(browser.new_context(**({"viewport": DESKTOP} | context)).new_page(), faults)
    page.goto(f"{stack.base}/studio/batches/")
    page.locator("input[name=login]").fill(stack.demo[who]["email"])
    page.locator("input[type=password]").fill(stack.demo[who]["password"])
    page.keyboard.press("Enter")
    page.wait_for_url(f"{stack.base}/studio/batches/")
    return page


def _started(stack: Stack, rows: int, task: str = "sentiment") -> str:
    """A batch over the API; returns its id."""
    form = {"task": task, "column": "words", "time_column": "day", "source_column": "shop", "id_column": "nr"}
    with stack.client() as client:
        made = client.post("/api/v1/jobs", data=form, files={"file": ("reviews.csv", _csv(rows))})
        assert made.status_code == 202, made.text
        return made.json()["id"]


def _ended(stack: Stack, batch_id: str, timeout_s: float = 120) -> dict[str, Any]:
    deadline = time.monotonic() + timeout_s
    with stack.client() as client:
        while time.monotonic() < deadline:
            info = client.get(f"/api/v1/jobs/{batch_id}").json()
            if info["status"] in {"done", "failed", "cancelled"}:
                return info
            time.sleep(0.5)
    raise AssertionError(f"the batch does not end: {info}")


@pytest.fixture(scope="module")
def done(stack: Stack) -> str:
    batch_id = _started(stack, 160)
    assert _ended(stack, batch_id)["status"] == "done"
    return batch_id


def _bar(page: Page, chart: str, name: str) -> Locator:
    return page.locator(f"svg[data-chart={chart}]").get_by_role("link", name=name)


def test_a_file_becomes_charts(browser: Browser, stack: Stack, faults: list[str], shots: Path) -> None:
    page = _sign_in(browser, stack, faults)
    page.set_input_files("#batch-file", {"name": "reviews.csv", "mimeType": "text/csv", "buffer": _csv(80)})
    expect(page.get_by_role("heading", name="Which column holds what?")).to_be_visible(timeout=20_000)
    expect(page.get_by_label("What column words holds")).to_have_value("text")
    expect(page.get_by_label("What column day holds")).to_have_value("time")
    page.screenshot(path=str(shots / "batch-draft.png"), full_page=True)
    page.get_by_label("Task").select_option("sentiment")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("Done", exact=True).first).to_be_visible(timeout=120_000)
    expect(page.get_by_role("heading", name="Distribution")).to_be_visible(timeout=20_000)
    expect(_bar(page, "labels", "errors: 1 rows")).to_be_visible()
    expect(page.locator(".texts__item")).to_have_count(25)
    page.screenshot(path=str(shots / "batch-done.png"), full_page=True)
    assert faults == []
    page.context.close()


def test_without_a_text_column_nothing_starts(browser: Browser, stack: Stack, faults: list[str]) -> None:
    page = _sign_in(browser, stack, faults)
    page.set_input_files("#batch-file", {"name": "a.csv", "mimeType": "text/csv", "buffer": b"a,b\n1,2\n"})
    expect(page.get_by_role("heading", name="Which column holds what?")).to_be_visible(timeout=20_000)
    chosen = page.locator("select:has(option[value=text]:checked)")
    chosen.select_option("")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("alert").filter(has_text="Choose the column")).to_be_visible()
    page.context.close()


def test_a_refused_file_is_told(browser: Browser, stack: Stack, faults: list[str]) -> None:
    page = _sign_in(browser, stack, faults)
    page.set_input_files("#batch-file", {"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF"})
    expect(page.get_by_role("alert").filter(has_text="CSV, JSON lines or XLSX")).to_be_visible(timeout=20_000)
    page.context.close()


def test_a_bar_opens_its_texts_and_the_address_keeps_the_filter(
    browser: Browser, stack: Stack, faults: list[str], done: str, shots: Path
) -> None:
    page = _sign_in(browser, stack, faults)
    page.goto(f"{stack.base}/studio/batches/{done}/")
    bar = _bar(page, "sources", "south")
    expect(bar).to_be_visible(timeout=20_000)
    bar.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/?source=south")
    expect(page.locator(".texts__facts").first).to_contain_text("south")
    expect(page.locator(".texts__facts").filter(has_text="north")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("button", name="Remove the filter Source")).to_be_visible(timeout=20_000)
    expect(page.locator(".texts__facts").first).to_contain_text("south")
    page.screenshot(path=str(shots / "batch-filtered.png"))
    page.go_back()
    expect(page.get_by_role("button", name="Remove the filter Source")).to_be_hidden(timeout=20_000)
    assert faults == []
    page.context.close()


def test_each_chart_has_a_table_and_goes_out_as_picture_and_data(
    browser: Browser, stack: Stack, faults: list[str], done: str, tmp_path: Path
) -> None:
    page = _sign_in(browser, stack, faults)
    page.goto(f"{stack.base}/studio/batches/{done}/")
    expect(_bar(page, "labels", "positive")).to_be_visible(timeout=20_000)
    saved = {}
    for kind in ("SVG", "PNG", "CSV"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Distribution as {kind}").click()
        download.value.save_as(tmp_path / kind)
        saved[kind] = (tmp_path / kind).read_bytes()
    assert saved["SVG"].startswith(b"<svg")
    assert b"var(" not in saved["SVG"]
    assert saved["PNG"].startswith(b"\x89PNG")
    assert len(saved["PNG"]) > 2000
    assert b"positive" in saved["CSV"]
    page.get_by_role("button", name="Table: Distribution").press("Enter")
    table = page.get_by_role("table", name="Distribution")
    expect(table.get_by_role("columnheader")).to_have_text(["Name", "Rows", "Share", "Mean score"])
    expect(table.get_by_role("row").filter(has_text="errors")).to_contain_text("1")
    assert faults == []
    page.context.close()


def test_results_are_downloaded_under_the_filter(
    browser: Browser, stack: Stack, faults: list[str], done: str, tmp_path: Path
) -> None:
    page = _sign_in(browser, stack, faults)
    page.goto(f"{stack.base}/studio/batches/{done}/?label=~error")
    link = page.get_by_role("link", name="Download the rows shown: CSV")
    expect(link).to_be_visible(timeout=20_000)
    with page.expect_download() as download:
        link.click()
    download.value.save_as(tmp_path / "a.csv")
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert [(row["id"], row["label"]) for row in rows] == [("7", "")]
    page.context.close()


def test_a_batch_is_paused_resumed_and_deleted_on_its_page(browser: Browser, stack: Stack, faults: list[str]) -> None:
    batch_id = _started(stack, 30_000, "language")
    page = _sign_in(browser, stack, faults)
    page.goto(f"{stack.base}/studio/batches/{batch_id}/")
    page.get_by_role("button", name="Pause").click(timeout=20_000)
    expect(page.get_by_text("Paused", exact=True).first).to_be_visible()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url(f"{stack.base}/studio/batches/")
    expect(page.locator(f"[data-id='{batch_id}']")).to_have_count(0)
    assert faults == []
    page.context.close()


def test_a_lost_connection_is_told_and_ends_by_itself(
    browser: Browser, stack: Stack, faults: list[str], done: str
) -> None:
    page = _sign_in(browser, stack, faults)

    def away(route: Route) -> None:
        route.fulfill(status=503, json={"error": {"code": "unavailable", "message": "", "request_id": "r-4711"}})

    page.route("**/api/v1/jobs*", away)
    page.reload()
    expect(page.get_by_text("r-4711")).to_be_visible(timeout=20_000)
    page.unroute("**/api/v1/jobs*")
    expect(page.locator(f"[data-id='{done}']")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("r-4711")).to_be_hidden()
    page.context.close()


def test_who_may_not_start_sees_no_upload(browser: Browser, stack: Stack, faults: list[str], done: str) -> None:
    page = _sign_in(browser, stack, faults, who="agent")
    expect(page.locator(f"[data-id='{done}']")).to_be_visible(timeout=20_000)
    expect(page.locator("#batch-file")).to_have_count(0)
    page.goto(f"{stack.base}/studio/batches/{done}/")
    expect(_bar(page, "labels", "positive")).to_be_visible(timeout=20_000)
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)
    page.context.close()


def test_a_batch_of_another_organisation_is_not_there(
    browser: Browser, stack: Stack, faults: list[str], done: str
) -> None:
    with stack.client(other=True) as client:
        made = client.post("/api/v1/jobs", json={"task": "language", "items": ["theirs"]}).json()
    page = _sign_in(browser, stack, faults)
    response = page.goto(f"{stack.base}/studio/batches/{made['id']}/")
    assert response is not None
    assert response.status == 404
    expect(page.get_by_role("heading", name="This batch is not there")).to_be_visible()
    page.context.close()


@pytest.mark.parametrize(
    ("name", "context", "heading"),
    [
        ("dark", {"color_scheme": "dark"}, "Distribution"),
        ("phone", {"viewport": PHONE, "has_touch": True, "is_mobile": True}, "Distribution"),
        ("chinese", {"locale": "zh-CN"}, "分布"),
    ],
    ids=["dark", "phone", "chinese"],
)
def test_the_page_fits(
    browser: Browser,
    stack: Stack,
    faults: list[str],
    shots: Path,
    done: str,
    name: str,
    context: dict[str, Any],
    heading: str,
) -> None:
    page = _sign_in(browser, stack, faults, **context)
    expect(page.locator(f"[data-id='{done}']")).to_be_visible(timeout=20_000)
    page.screenshot(path=str(shots / f"batches-{name}.png"), full_page=True)
    page.goto(f"{stack.base}/studio/batches/{done}/")
    expect(page.get_by_role("heading", name=heading)).to_be_visible(timeout=20_000)
    expect(page.locator("svg[data-chart=topics] a").first).to_be_visible()
    page.screenshot(path=str(shots / f"batch-{name}.png"), full_page=True)
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0
    assert faults == []
    page.context.close()


@pytest.mark.timeout(300)
def test_kill_9_in_the_middle_loses_and_doubles_nothing(stack: Stack) -> None:
    batch_id = _started(stack, 20_000, "language")
    killed_at = []
    for wanted in (2_000, 9_000):
        with stack.client() as client:
            while (done := client.get(f"/api/v1/jobs/{batch_id}").json()["done"]) < wanted:
                time.sleep(0.05)
        killed_at.append(done)
        assert stack.kill("worker-batch")
    info = _ended(stack, batch_id, 200)
    assert max(killed_at) < 20_000
    assert (info["status"], info["done"], info["failed"]) == ("done", 20_000, 1)
    with stack.client() as client:
        text = client.get(f"/api/v1/jobs/{batch_id}/results", params={"format": "csv"}).text
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["id"] for row in rows] == [str(n) for n in range(20_000)]
    with stack.client() as client:
        assert client.get(f"/api/v1/jobs/{batch_id}/summary").json()["rows"] == 20_000
