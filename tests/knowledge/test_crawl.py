"""Reading a site: its pages below one address, with bounds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from apps.core.errors import Cancelled
from apps.documents.errors import ExtractError
from apps.knowledge.extract.box import BoxDocument
from apps.knowledge.selectors import passages_search
from apps.knowledge.services import source_create_from_url, source_reingest
from apps.knowledge.services.crawl import CrawledPage, CrawlLimits, crawl
from tests.knowledge.conftest import run_job

LIMITS = CrawlLimits(pages=50, depth=4, total_bytes=10_000_000, seconds=20, page_bytes=1_000_000)


class Site:
    """A web site of a table: path -> (status, headers, body)."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                status, headers, body = site.pages.get(self.path, (404, {}, b"missing"))
                self.send_response(status)
                for name, value in {"Content-Type": "text/html; charset=utf-8", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def page(self, path: str, *links: str, text: str = "", **headers: str) -> None:
        anchors = " ".join(f'<a href="{link}">to {link}</a>' for link in links)
        words = text or f"Words of {path}."
        body = f"<title>{path}</title><h1 id='top'>{path}</h1><p>{words}</p><p>See {anchors}.</p>"
        self.pages[path] = (200, headers, body.encode())

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def site(settings: Any) -> Iterator[Site]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    running = Site()
    yield running
    running.close()


def walk(site: Site, path: str, limits: CrawlLimits = LIMITS) -> list[CrawledPage]:
    return list(crawl(site.base + path, limits, check=lambda: None))


def paths(site: Site, pages: list[CrawledPage]) -> list[str]:
    return [page.url.removeprefix(site.base) for page in pages]


def test_pages_below_the_folder_are_read_level_by_level(site: Site) -> None:
    site.page("/docs/index.html", "a.html", "b.html#part", "/other/x.html", "http://elsewhere.test/", "mailto:a@b.c")
    site.page("/docs/a.html", "deep/c.html", "index.html")
    site.page("/docs/b.html")
    site.page("/docs/deep/c.html", "../../secret.html", "%2e%2e/%2e%2e/secret.html")
    site.page("/other/x.html")
    assert paths(site, walk(site, "/docs/index.html")) == [
        "/docs/index.html", "/docs/a.html", "/docs/b.html", "/docs/deep/c.html",
    ]  # fmt: skip
    assert {"/other/x.html", "/secret.html"}.isdisjoint(site.asked)


def test_address_without_a_suffix_is_a_folder(site: Site) -> None:
    site.page("/docs", "/docs/a", "/docsother")
    site.page("/docs/a")
    site.page("/docsother")
    assert paths(site, walk(site, "/docs")) == ["/docs", "/docs/a"]


def test_links_with_a_query_are_not_followed(site: Site) -> None:
    site.page("/", "/?page=2", "/a")
    site.page("/a", "/a?sort=up")
    assert paths(site, walk(site, "/")) == ["/", "/a"]


@pytest.mark.parametrize(("field", "value", "count"), [("pages", 3, 3), ("depth", 1, 2), ("depth", 0, 1)])
def test_number_and_depth_of_pages_are_bounded(site: Site, field: str, value: int, count: int) -> None:
    for number in range(10):
        site.page(
            f"/{number}" if number else "/",
            f"/{number + 1}",
            *([f"/{n}" for n in range(1, 10)] if field == "pages" else []),
        )
    limits = CrawlLimits(**{**{name: getattr(LIMITS, name) for name in LIMITS.__slots__}, field: value})
    assert len(walk(site, "/", limits)) == count


def test_bytes_are_bounded_in_all(site: Site) -> None:
    for number in range(10):
        site.page(f"/{number}" if number else "/", f"/{number + 1}", text=f"{number} " + "word " * 20_000)
    limits = CrawlLimits(pages=50, depth=50, total_bytes=250_000, seconds=20, page_bytes=1_000_000)
    assert len(walk(site, "/", limits)) <= 3


def test_endless_site_ends(site: Site) -> None:
    """Every page leads to a new one."""
    for number in range(300):
        site.page(f"/{number}" if number else "/", f"/{number + 1}")
    assert len(walk(site, "/")) == 5


def test_same_page_under_two_addresses_is_read_once(site: Site) -> None:
    site.page("/", "/a", "/b")
    site.pages["/a"] = site.pages["/b"] = (200, {}, b"<h1>Same</h1><p>Same words.</p>")
    assert paths(site, walk(site, "/")) == ["/", "/a"]


def test_redirect_of_the_first_page_moves_the_start(site: Site) -> None:
    site.pages["/old"] = (301, {"Location": "/new/index.html"}, b"")
    site.page("/new/index.html", "a.html", "/old")
    site.page("/new/a.html")
    assert paths(site, walk(site, "/old")) == ["/new/index.html", "/new/a.html"]


def test_redirect_out_of_the_folder_adds_nothing(site: Site) -> None:
    site.page("/docs/", "a")
    site.pages["/docs/a"] = (302, {"Location": "/private"}, b"")
    site.page("/private")
    assert paths(site, walk(site, "/docs/")) == ["/docs/"]


def test_redirect_to_a_private_address_is_refused(site: Site, settings: Any) -> None:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    site.pages["/"] = (302, {"Location": "http://127.0.0.2/secret"}, b"")
    (page,) = walk(site, "/")
    assert isinstance(page.result, ExtractError)
    assert page.result.code == "address_refused"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((404, {}, b""), "fetch_status"),
        ((500, {}, b""), "fetch_status"),
        ((200, {"Content-Type": "image/png"}, b"\x89PNG\0"), "unsupported_type"),
        ((200, {"Content-Type": "text/html"}, b"\x89PNG\0"), "unsupported_type"),
    ],
)
def test_first_page_that_cannot_be_read_says_why(site: Site, answer: Any, code: str) -> None:
    site.pages["/"] = answer
    (page,) = walk(site, "/")
    assert isinstance(page.result, ExtractError)
    assert page.result.code == code


def test_later_page_that_is_missing_is_passed_over(site: Site) -> None:
    site.page("/", "/gone", "/a")
    site.page("/a")
    assert paths(site, walk(site, "/")) == ["/", "/a"]


def test_charset_of_the_server_counts(site: Site) -> None:
    body = "<h1>Größe</h1><p>Rückgabe möglich.</p>".encode("latin-1")
    site.pages["/"] = (200, {"Content-Type": "text/html; charset=ISO-8859-1"}, body)
    (page,) = walk(site, "/")
    assert isinstance(page.result, BoxDocument)
    assert page.result.chunks[0].text == "Rückgabe möglich."


def test_crawl_stops_when_asked(site: Site) -> None:
    site.page("/", "/a")
    calls = iter([None])

    def check() -> None:
        if next(calls, "stop") == "stop":
            raise Cancelled

    with pytest.raises(Cancelled):
        list(crawl(site.base + "/", LIMITS, check=check))


def test_passage_of_a_site_links_to_its_page(site: Site, tenant: Any) -> None:
    site.page("/docs/", "tea.html")
    site.page("/docs/tea.html", text="Tea is served at five.")
    source = source_create_from_url(tenant_id=tenant.id, url=site.base + "/docs/")
    done = run_job(tenant.id, source)
    assert (done.status, done.documents) == ("ready", 2)
    found = passages_search(tenant_id=tenant.id, query="when is tea served").passages[0]
    assert (found.source, found.url) == (site.base + "/docs/tea.html", site.base + "/docs/tea.html#top")


def test_page_that_vanished_goes_with_the_next_reading(site: Site, tenant: Any) -> None:
    site.page("/docs/", "tea.html")
    site.page("/docs/tea.html", text="Tea is served at five.")
    source = source_create_from_url(tenant_id=tenant.id, url=site.base + "/docs/")
    run_job(tenant.id, source)
    del site.pages["/docs/tea.html"]
    source_reingest(tenant_id=tenant.id, source_id=source.id)
    assert run_job(tenant.id, source).documents == 1
    assert "Tea is served at five." not in [
        p.text for p in passages_search(tenant_id=tenant.id, query="when is tea served").passages
    ]


def test_site_that_is_away_fails_the_source(site: Site, tenant: Any) -> None:
    source = source_create_from_url(tenant_id=tenant.id, url=site.base + "/nothing")
    done = run_job(tenant.id, source)
    assert (done.status, done.error_code) == ("failed", "fetch_status")
