"""Message text becomes DOM without executing, loading or hiding anything (I1, I2)."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.widget.payloads import PAYLOADS

pytestmark = pytest.mark.browser
ALLOWED = {"P", "BR", "UL", "OL", "LI", "PRE", "CODE", "STRONG", "A", "SPAN"}
RENDER = """async ([texts, citations]) => {
    const { formatText } = await import("/static/js/lib/format.js");
    const out = document.getElementById("out");
    const seen = { tags: {}, schemes: {}, handlers: 0, slowest: 0, text: [] };
    for (const text of texts) {
        const started = performance.now();
        out.replaceChildren(formatText(text, { citations }));
        seen.slowest = Math.max(seen.slowest, performance.now() - started);
        for (const element of out.querySelectorAll("*")) {
            seen.tags[element.tagName] = true;
            if (element.href) seen.schemes[new URL(element.href).protocol] = true;
            const names = [...element.attributes].map((attribute) => attribute.name);
            seen.handlers += names.filter((name) => name.startsWith("on") || name === "style").length;
        }
        seen.text.push(out.textContent);
        await new Promise((done) => setTimeout(done));
    }
    return { ...seen, tags: Object.keys(seen.tags), schemes: Object.keys(seen.schemes), alerts: window.alerts };
}"""
CITATION = {"document": "Guide", "source": "guide.md", "quote": 'say "hi"', "url": "/knowledge/passages/1"}


@pytest.fixture(scope="module")
def rendered(script_page: Page) -> dict[str, Any]:
    requests: list[str] = []
    script_page.on("request", lambda request: requests.append(request.url))
    result = script_page.evaluate(RENDER, [PAYLOADS, [CITATION]])
    script_page.wait_for_timeout(300)
    return {**result, "requests": requests}


def test_at_least_a_hundred_payloads_are_tried() -> None:
    assert len(PAYLOADS) >= 100


def test_no_payload_executes(rendered: dict[str, Any]) -> None:
    assert rendered["alerts"] == 0


def test_no_payload_reaches_another_host(rendered: dict[str, Any]) -> None:
    assert [url for url in rendered["requests"] if "evil.example" in url] == []


def test_only_plain_elements_are_made(rendered: dict[str, Any]) -> None:
    assert set(rendered["tags"]) <= ALLOWED


def test_links_open_only_http(rendered: dict[str, Any]) -> None:
    assert set(rendered["schemes"]) <= {"http:", "https:"}


def test_no_handler_or_style_attribute_is_made(rendered: dict[str, Any]) -> None:
    assert rendered["handlers"] == 0


def test_markup_is_shown_as_text(rendered: dict[str, Any]) -> None:
    assert any("<script>alert(1)</script>" in text for text in rendered["text"])


def test_formatting_costs_no_more_than_50_ms(rendered: dict[str, Any]) -> None:
    assert rendered["slowest"] < 50


def _html(page: Page, text: str, citations: list[dict[str, Any]] | None = None) -> str:
    page.evaluate(RENDER, [[text], citations or []])
    return page.inner_html("#out")


def test_a_link_names_its_host(script_page: Page) -> None:
    assert "(evil.example)" in _html(script_page, "[your bank](https://evil.example/login)")


def test_lists_bold_and_code(script_page: Page) -> None:
    html = _html(script_page, "Steps:\n- **one**\n- `two`")
    assert html == "<p>Steps:</p><ul><li><strong>one</strong></li><li><code>two</code></li></ul>"


def test_a_citation_number_becomes_a_link_with_its_mark(script_page: Page) -> None:
    _html(script_page, "So it is [1].", [CITATION])
    chip = script_page.locator("#out a[data-citation]")
    assert chip.get_attribute("href").endswith("/knowledge/passages/1")  # type: ignore[union-attr]
    assert chip.get_attribute("rel") == "noopener"
    assert chip.get_attribute("target") == "_blank"


def test_a_number_without_a_citation_stays_text(script_page: Page) -> None:
    assert _html(script_page, "See [2].", [CITATION]) == "<p>See [2].</p>"


def test_a_citation_with_a_hostile_address_is_no_link(script_page: Page) -> None:
    _html(script_page, "So it is [1].", [{**CITATION, "url": "javascript:alert(1)"}])
    assert script_page.locator("#out a").count() == 0
