"""The embed script, the frame and the demo page as a browser gets them."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

ROOT = Path(settings.BASE_DIR)
EMBED_MAX_BYTES = 15 * 1024


@pytest.fixture
def browser() -> Client:
    return Client(headers={"Host": "127.0.0.1"})


def _frame(browser: Client, token: str, **query: str) -> Any:
    return browser.get("/widget/frame", {"token": token, **query})


def test_the_embed_script_is_at_most_15_kb_gzipped(browser: Client) -> None:
    assert len(gzip.compress(browser.get("/widget.js").content)) <= EMBED_MAX_BYTES


def test_the_embed_script_may_be_loaded_from_anywhere(browser: Client) -> None:
    response = browser.get("/widget.js")
    assert response["Access-Control-Allow-Origin"] == "*"
    assert response["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response["Content-Type"].startswith("text/javascript")


def test_an_unchanged_embed_script_is_not_sent_again(browser: Client) -> None:
    tag = browser.get("/widget.js")["ETag"]
    assert browser.get("/widget.js", headers={"If-None-Match": tag}).status_code == 304


def test_only_the_inboxs_origins_and_ours_may_frame_the_chat(browser: Client, inbox: Any) -> None:
    policy = _frame(browser, inbox.widget_token)["Content-Security-Policy"]
    ancestors = re.search(r"frame-ancestors ([^;]*)", policy)
    assert ancestors is not None
    assert set(ancestors.group(1).split()) == {"'self'", "https://shop.example", *settings.OWN_ORIGINS}


def test_the_frame_may_be_framed_at_all(browser: Client, inbox: Any) -> None:
    assert "X-Frame-Options" not in _frame(browser, inbox.widget_token)


def test_the_frame_sets_no_cookie(browser: Client, inbox: Any) -> None:
    assert not _frame(browser, inbox.widget_token).cookies


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://shop.example.evil.example",
        "http://shop.example",
        "https://shop.example:444",
        "null",
    ],
)
def test_an_unlisted_parent_is_not_named_in_the_frame(browser: Client, inbox: Any, origin: str) -> None:
    assert _frame(browser, inbox.widget_token, origin=origin).context["config"]["parent_origin"] == ""


def test_a_listed_parent_is_named_in_the_frame(browser: Client, inbox: Any) -> None:
    page = _frame(browser, inbox.widget_token, origin="https://shop.example")
    assert page.context["config"]["parent_origin"] == "https://shop.example"


@pytest.mark.parametrize("token", ["", "nothing", "'\"><script>", "\x00"])
def test_an_unknown_token_has_no_frame(browser: Client, db: None, token: str) -> None:
    assert _frame(browser, token).status_code == 404


@pytest.mark.parametrize(("wanted", "shown"), [("zh-CN", "zh-hans"), ("en-GB", "en"), ("xx", "en"), ("", "en")])
def test_the_frame_speaks_the_asked_language(browser: Client, inbox: Any, wanted: str, shown: str) -> None:
    assert _frame(browser, inbox.widget_token, locale=wanted).context["locale"] == shown


def test_the_demo_page_says_how_to_make_a_demo_when_there_is_none(browser: Client, db: None) -> None:
    assert b"make run" in browser.get("/").content


@pytest.mark.parametrize("path", sorted((ROOT / "templates").rglob("*.html")), ids=lambda path: str(path.name))
def test_no_template_has_inline_script_or_style(path: Path) -> None:
    source = path.read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", source)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", source)
