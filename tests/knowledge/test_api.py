"""The knowledge routes, the staff page and the command."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from apps.knowledge.selectors import source_get
from tests.knowledge.conftest import run_job

Add = Callable[..., Any]
SOURCES = "/api/v1/knowledge/sources"


def upload(api: Any, *files: SimpleUploadedFile, **fields: str) -> Any:
    return api._client.post(SOURCES, {"file": list(files), **fields})


def finish(tenant: Any, source_id: str) -> Any:
    return run_job(tenant.id, source_get(tenant_id=tenant.id, source_id=source_id))


def test_files_are_accepted_and_read(api: Any, tenant: Any) -> None:
    one, two = SimpleUploadedFile("a.html", b"<h1 id=x>A</h1><p>Tea.</p>"), SimpleUploadedFile("b.md", b"# B\n\nCake.")
    answer = upload(api, one, two, collection="help")
    assert answer.status_code == 202
    body = answer.json()
    assert (body["status"], body["progress"], body["collection"]) == ("queued", 0.0, "help")
    finish(tenant, body["id"])
    shown = api.get(f"/knowledge/sources/{body['id']}").json()
    assert (shown["status"], shown["progress"], shown["documents"], shown["chunks"], shown["error"]) == (
        "ready", 1.0, 2, 2, None,
    )  # fmt: skip


def test_text_is_accepted_and_found(api: Any, tenant: Any) -> None:
    body = api.post("/knowledge/sources", {"title": "Hours", "text": "Open from nine."}).json()
    finish(tenant, body["id"])
    (result,) = api.get("/knowledge/search?q=when open&k=3").json()["results"]
    assert {name: result[name] for name in ("document", "source", "title", "heading", "anchor", "text")} == {
        "document": "Hours", "source": "Hours", "title": "Hours", "heading": "Hours", "anchor": "",
        "text": "Open from nine.",
    }  # fmt: skip
    assert result["url"].startswith("/knowledge/passage?t=")


def test_address_is_accepted(api: Any) -> None:
    answer = api.post("/knowledge/sources", {"url": "https://example.com/help/"})
    assert (answer.status_code, answer.json()["kind"]) == (202, "url")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "source_missing"),
        ({"url": "https://example.com/", "text": "x"}, "source_missing"),
        ({"url": "http://127.0.0.1/"}, "address_refused"),
        ({"url": "file:///etc/passwd"}, "address_refused"),
        ({"title": "T", "text": " "}, "text_missing"),
        ({"title": "T", "text": "x", "collection": "No Slug"}, "collection_invalid"),
        ({"title": 3, "text": "x"}, "invalid"),
        ({"url": ["x"]}, "invalid"),
        ([1], "source_missing"),
    ],
)
def test_body_that_makes_no_source_is_refused(api: Any, settings: Any, body: Any, code: str) -> None:
    settings.EGRESS_ALLOW_CIDRS = []
    answer = api.post("/knowledge/sources", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


@pytest.mark.parametrize("raw", [b"{", b"", b"\xff\xfe", b'{"text": "' + b"\xed\xa0\x80" + b'"}', b"[" * 100_000])
def test_broken_json_is_refused(api: Any, raw: bytes) -> None:
    answer = api._client.post(SOURCES, raw, content_type="application/json")
    assert answer.status_code == 422
    assert set(answer.json()["error"]) >= {"code", "message", "request_id"}


def test_broken_form_is_refused(api: Any) -> None:
    answer = api._client.post(SOURCES, b"not a form", content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 422
    answer = api._client.post(SOURCES, b"not a form", content_type="multipart/form-data")
    assert answer.status_code == 422


def test_upload_is_cut_at_the_limit_while_it_is_read(api: Any, settings: Any, stored: Path) -> None:
    settings.KNOWLEDGE_MAX_FILE_BYTES = 1000
    answer = upload(api, SimpleUploadedFile("a.txt", b"x" * 200_000))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert list(stored.rglob("*")) == []


def test_files_of_a_request_are_bounded_together(api: Any, settings: Any) -> None:
    settings.KNOWLEDGE_MAX_REQUEST_BYTES = 100_000
    files = [SimpleUploadedFile(f"{n}.txt", b"x" * 60_000) for n in range(2)]
    assert upload(api, *files).status_code == 413


def test_unknown_type_is_refused(api: Any) -> None:
    answer = upload(api, SimpleUploadedFile("a.svg", b"<svg><script>1</script></svg>"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "unsupported_type")


def test_same_idempotency_key_makes_one_source(api: Any) -> None:
    body = json.dumps({"title": "T", "text": "x"})
    sent = {"content_type": "application/json", "headers": {"Idempotency-Key": "k1"}}
    first, again = (api._client.post(SOURCES, body, **sent).json()["id"] for _ in range(2))
    assert first == again
    assert len(api.get("/knowledge/sources").json()["items"]) == 1


def test_source_is_removed(api: Any, tenant: Any, add_text: Add) -> None:
    source = add_text(tenant, "T", "Tea.")
    assert api.delete(f"/knowledge/sources/{source.id}").status_code == 204
    assert api.get(f"/knowledge/sources/{source.id}").status_code == 404
    assert api.delete(f"/knowledge/sources/{source.id}").status_code == 404
    assert api.get("/knowledge/search?q=tea").json()["results"] == []


def test_source_is_read_again(api: Any, tenant: Any, add_text: Add) -> None:
    source = add_text(tenant, "T", "Tea.")
    assert api.post(f"/knowledge/sources/{source.id}/reingest").status_code == 202
    assert api.post(f"/knowledge/sources/{source.id}/reingest").status_code == 409


@pytest.mark.parametrize("method", ["get", "delete"])
def test_foreign_source_looks_missing(api: Any, other_api: Any, tenant: Any, add_text: Add, method: str) -> None:
    source = add_text(tenant, "T", "Tea.")
    foreign = getattr(other_api, method)(f"/knowledge/sources/{source.id}")
    missing = getattr(other_api, method)("/knowledge/sources/01a00000-0000-7000-8000-000000000000")
    assert foreign.status_code == missing.status_code == 404
    assert foreign.json()["error"]["message"] == missing.json()["error"]["message"]


def test_foreign_passages_are_not_found(api: Any, other_api: Any, tenant: Any, add_text: Add) -> None:
    add_text(tenant, "T", "Tea.")
    assert other_api.get("/knowledge/search?q=tea").json()["results"] == []
    assert other_api.get("/knowledge/sources").json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize("path", ["/knowledge/search?q=", "/knowledge/search?q=x&k=0", "/knowledge/search?q=x&k=51",
                                  "/knowledge/search", "/knowledge/search?q=x&k=a", "/knowledge/sources?limit=101",
                                  "/knowledge/sources?cursor=zzz"])  # fmt: skip
def test_query_that_is_not_allowed_is_refused(api: Any, path: str) -> None:
    assert api.get(path).status_code == 422


def test_key_without_the_scope_may_not_write(tenant: Any) -> None:
    from apps.accounts.services import api_key_create

    secret = api_key_create(tenant_id=tenant.id, name="reader", scopes=["knowledge:read"])[1]
    client = Client(headers={"Authorization": f"Bearer {secret}", "Host": "127.0.0.1"})
    answer = client.post(SOURCES, {"title": "T", "text": "x"}, content_type="application/json")
    assert (answer.status_code, client.get(SOURCES).status_code) == (403, 200)


@pytest.fixture
def staff(member: Any) -> Client:
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_page_needs_a_session(db: None) -> None:
    answer = Client(headers={"Host": "127.0.0.1"}).get("/knowledge/")
    assert (answer.status_code, answer.headers["Location"].split("?")[0]) == (302, "/accounts/login/")


def test_page_lists_sources_with_their_state(staff: Client, tenant: Any, add_text: Add, add_files: Add) -> None:
    add_text(tenant, "Opening <hours>", "Open from nine.")
    add_files(tenant, {"broken.pdf": b"%PDF-1.7 x"})
    body = staff.get("/knowledge/").content.decode()
    assert "Opening &lt;hours&gt;" in body
    assert "The file could not be read." in body
    assert "style=" not in body


def test_page_tries_a_question(staff: Client, tenant: Any, add_text: Add) -> None:
    add_text(tenant, "Hours", "Open from nine.")
    body = staff.get("/knowledge/?q=when+open").content.decode()
    assert "Open from nine." in body
    assert "/knowledge/passage?t=" in body


def test_page_adds_and_removes(staff: Client, tenant: Any, api: Any) -> None:
    staff.post("/knowledge/add", {"kind": "text", "title": "T", "text": "Tea.", "collection": "default"})
    staff.post("/knowledge/add", {"kind": "file", "file": SimpleUploadedFile("a.md", b"# A"), "collection": "x"})
    staff.post("/knowledge/add", {"kind": "url", "url": "https://example.com/", "collection": "x"})
    items = api.get("/knowledge/sources").json()["items"]
    assert [item["kind"] for item in items] == ["url", "file", "text"]
    staff.post(f"/knowledge/sources/{items[0]['id']}/delete")
    assert len(api.get("/knowledge/sources").json()["items"]) == 2


def test_refusal_is_told_on_the_page(staff: Client) -> None:
    body = staff.post("/knowledge/add", {"kind": "url", "url": "http://127.0.0.1/"}, follow=True).content.decode()
    assert "This address is not public" in body


def test_forms_need_the_token(member: Any) -> None:
    client = Client(enforce_csrf_checks=True, headers={"Host": "127.0.0.1"})
    client.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
    assert client.post("/knowledge/add", {"kind": "text", "title": "T", "text": "x"}).status_code == 403


def test_member_who_may_only_read_cannot_add(tenant: Any) -> None:
    from apps.accounts.services import member_create

    agent = member_create(
        tenant_id=tenant.id, email="a@acme.example", name="A", role="agent", password="a long password"
    )
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(agent, backend="django.contrib.auth.backends.ModelBackend")
    assert client.post("/knowledge/add", {"kind": "text", "title": "T", "text": "x"}).status_code == 403
    assert "data-open" not in client.get("/knowledge/").content.decode()


def test_command_adds_a_folder(
    tenant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# A\n\nTea.")
    (tmp_path / "docs" / "skipped.png").write_bytes(b"\x89PNG\0")
    from apps.knowledge.management.commands import ingest

    monkeypatch.setattr(ingest.time, "sleep", lambda _: None)
    real = ingest.source_get

    def read_now(*, tenant_id: Any, source_id: Any) -> Any:
        return run_job(tenant_id, real(tenant_id=tenant_id, source_id=source_id))

    monkeypatch.setattr(ingest, "source_get", read_now)
    out = io.StringIO()
    call_command("ingest", str(tmp_path / "docs"), "--org", tenant.slug, "--collection", "c", "--json", stdout=out)
    shown = json.loads(out.getvalue())
    assert (shown["status"], shown["documents"], shown["collection"]) == ("ready", 1, "c")


@pytest.mark.parametrize(("path", "org"), [("/nowhere/at/all", "acme"), ("http://127.0.0.1/", "acme"), ("x", "nobody")])
def test_command_says_what_is_wrong(tenant: Any, settings: Any, path: str, org: str) -> None:
    settings.EGRESS_ALLOW_CIDRS = []
    with pytest.raises(CommandError) as caught:
        call_command("ingest", path, "--org", org)
    assert caught.value.returncode == 1
