"""The studio's own routes: its pages by role, and reading a file or a web page as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.services import member_create
from tests.conftest import ApiClient
from tests.knowledge.makers import archive, docx, paragraph
from tests.knowledge.test_crawl import Site

pytestmark = pytest.mark.django_db
PAGES = ["/studio/", "/studio/compare/", "/studio/classifiers/"]


def _client(tenant: Any, role: str) -> Client:
    person = member_create(
        tenant_id=tenant.id, email=f"{role}@acme.example", name=role, role=role, password="a long password"
    )
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(person)
    return client


@pytest.fixture
def analyst(tenant: Any) -> Client:
    return _client(tenant, "analyst")


@pytest.fixture
def site(settings: Any) -> Iterator[Site]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    running = Site()
    yield running
    running.close()


def _read(client: Client, **fields: Any) -> Any:
    return client.post("/studio/read", fields)


def _file(name: str, data: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("role", ["owner", "admin", "agent", "analyst"])
def test_every_role_that_runs_tasks_opens_the_pages(tenant: Any, role: str, path: str) -> None:
    response = _client(tenant, role).get(path)
    assert response.status_code == 200
    assert response.headers["Cache-Control"].startswith("max-age=0, no-cache")


@pytest.mark.parametrize("path", PAGES)
def test_somebody_without_an_organisation_is_told_why_there_is_no_page(tenant: Any, path: str) -> None:
    from django.contrib.auth import get_user_model

    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(get_user_model().objects.create(email="nobody@example.com"))
    response = client.get(path)
    assert response.status_code == 401
    assert b"This page cannot be shown" in response.content


def test_only_who_may_teach_is_offered_a_new_classifier(tenant: Any) -> None:
    assert b'data-part="new"' in _client(tenant, "analyst").get("/studio/classifiers/").content
    assert b'data-part="new"' not in _client(tenant, "agent").get("/studio/classifiers/").content


def test_the_text_of_a_file_keeps_headings_and_paragraphs(analyst: Client) -> None:
    body = b"# Guide\n\nFirst words.\n\n## Returns\n\nSend it back within 30 days.\n"
    found = _read(analyst, file=_file("guide.md", body)).json()
    assert found["title"] == "Guide"
    assert found["text"] == "First words.\n\nReturns\nSend it back within 30 days."
    assert (found["format"], found["cut"], found["chars"]) == ("markdown", False, len(found["text"]))


def test_a_word_document_is_read(analyst: Client) -> None:
    found = _read(analyst, file=_file("a.docx", docx(paragraph("The lamp arrived broken.")))).json()
    assert "The lamp arrived broken." in found["text"]


def test_a_long_file_is_cut_at_the_limit_of_one_text_and_says_so(analyst: Client) -> None:
    found = _read(analyst, file=_file("long.txt", b"A sentence of words. " * 12_000)).json()
    assert len(found["text"]) == 200_000
    assert found["cut"] is True
    assert found["chars"] > 240_000


@pytest.mark.parametrize(
    ("name", "data", "status", "code"),
    [
        ("empty.txt", b"", 422, "file_empty"),
        ("blank.txt", b"  \n ", 422, "nothing_found"),
        ("picture.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 64, 422, "unsupported_type"),
        ("zeros.zip", archive({"a": b"\0" * 1_000_000}), 422, "unsupported_type"),
        ("torn.docx", docx(paragraph("words"))[:200], 422, "extract_failed"),
    ],
)
def test_a_file_that_gives_no_text_is_refused_with_its_reason(
    analyst: Client, name: str, data: bytes, status: int, code: str
) -> None:
    response = _read(analyst, file=_file(name, data))
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert response.json()["error"]["request_id"]


def test_nothing_to_read_is_refused(analyst: Client) -> None:
    response = _read(analyst)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "file_missing")


def test_a_web_page_is_read_alone(analyst: Client, site: Site) -> None:
    site.page("/a.html", "/b.html", text="Opening hours are 8 to 12.")
    site.page("/b.html")
    found = _read(analyst, url=f"{site.base}/a.html").json()
    assert "Opening hours are 8 to 12." in found["text"]
    assert site.asked == ["/a.html"]


def test_a_page_that_is_not_there_is_told(analyst: Client, site: Site) -> None:
    response = _read(analyst, url=f"{site.base}/missing")
    assert (response.status_code, response.json()["error"]["code"]) == (422, "fetch_status")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/", "http://169.254.169.254/latest", "file:///etc/passwd", "x"])
def test_an_address_inside_the_network_is_refused(analyst: Client, url: str) -> None:
    response = _read(analyst, url=url)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "address_refused")


def test_reading_is_limited_per_organisation(analyst: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.studio.views.studio.READS_PER_MINUTE", 2)
    codes = [_read(analyst).status_code for _ in range(3)]
    assert codes == [422, 422, 429]


def test_a_read_needs_the_token_of_the_page(tenant: Any) -> None:
    client = _client(tenant, "analyst")
    client.handler.enforce_csrf_checks = True
    assert _read(client, file=_file("a.txt", b"words")).status_code == 403


def test_an_option_reaches_its_task(api: ApiClient) -> None:
    response = api.post("/nlp/language", {"text": "Good morning to all of you", "no_such_option": 1})
    assert (response.status_code, response.json()["error"]["code"]) == (422, "options_invalid")
    assert response.json()["error"]["details"][0]["field"] == "no_such_option"
