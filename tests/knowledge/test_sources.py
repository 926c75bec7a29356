"""Sources: reading, re-reading, failing, going."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection

from apps.core.errors import AppError, Busy, Conflict, Invalid, NotFound, TooLarge
from apps.core.tenancy import tenant_scope
from apps.jobs.services import job_run
from apps.knowledge.models import Chunk, Document, Source, SourceFile
from apps.knowledge.selectors import passages_search, source_get, sources_list
from apps.knowledge.services import (
    source_create_from_files,
    source_create_from_text,
    source_create_from_url,
    source_delete,
    source_reingest,
)
from apps.knowledge.services.sources import file_name_clean
from tests.knowledge.conftest import FakeEncoder, run_job

PAGE = b"<h1>Returns</h1><p>Goods go back within seven days.</p><h2 id='cost'>Cost</h2><p>Postage is free.</p>"
Add = Callable[..., Any]

NAMES = [
    "../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/passwd", "C:\\boot.ini", "a/../../b.html", "....//....//x.html",
    "%2e%2e%2fx.html", "~/x.html", ".", "..", "...", "/", "\\", "", " ", ".htaccess", ".ssh/authorized_keys", "con",
    "CON.html",
    "nul.txt", "COM1", "aux.html", "prn", "lpt1.txt", "a\x00.html", "a.html\x00.exe", "\x00", "a\nb.html", "a\r\nb.html",
    "a\tb.html", "\x1b[31mred.html", "x" * 500, "x" * 500 + ".html", "é" * 300 + ".html", "\u202egnp.lmth", "a\u202eb.html",
    "\u2066x\u2069.html", "\u200bzero.html", "\ufeffbom.html", "名字.html", "😀.html", "a b  c.html", "'quote'.html",
    '"double".html', "<script>.html", "a&b.html", "a;rm -rf.html", "$(id).html", "`id`.html", "|pipe.html", "a>b.html",
    "*.html", "?.html", "a:b.html", "file:///etc/passwd", "http://x/y.html", "//host/share", "\\\\host\\share\\x.html",
    "-rf", "--help.html", "a" * 255, "a/" * 200 + "x.html", "x.html/", "x.html.", "x.html ", "x.html::$DATA", "a%00b.html",
    "..%c0%af..%c0%afx", "\ud800.html", "a\u2028b.html", "a\u2029b.html", "\u0000\u0001\u0002", "tab\x0b.html", "\x7f.html",
    "a.html;.jpg", "a.html%20", "..;/x.html", "web.config", ".git/config", "x.PHP", "x.jsp", "x.html\u0000.php",
    "ﬁle.html", "A\u0301.html", "ＦＵＬＬ.html", "\u00ad.html", "\u061c.html", "\U000e0041.html", "a\u0085b.html",
    "{{7*7}}.html", "${jndi:ldap://x}.html", "%n%s.html", "=cmd|.html", "@import.html", "+1.html", "0", "null", "undefined",
    "true", "..\u2215etc\u2215passwd", "․․/x.html", "．．／x.html",
]  # fmt: skip


def rows(tenant: Any) -> tuple[int, int, int, int]:
    with tenant_scope(tenant.id):
        return (Source.objects.count(), SourceFile.objects.count(), Document.objects.count(), Chunk.objects.count())


def test_files_become_documents_and_passages(tenant: Any, add_files: Add) -> None:
    source = add_files(tenant, {"a.html": PAGE, "b.md": b"# Hours\n\nOpen from nine."})
    assert (source.status, source.progress, source.documents, source.chunks) == ("ready", 1.0, 2, 3)
    assert (source.kind, source.collection, source.error_code, source.problems) == ("file", "default", "", ())


def test_passage_knows_its_file_heading_and_anchor(tenant: Any, add_files: Add) -> None:
    add_files(tenant, {"a.html": PAGE})
    found = passages_search(tenant_id=tenant.id, query="what does postage cost").passages[0]
    assert (found.source, found.title, found.heading, found.anchor) == ("a.html", "Returns", "Cost", "cost")
    assert found.text == "Postage is free."


def test_unreadable_file_among_good_ones_is_a_problem_of_the_source(tenant: Any, add_files: Add) -> None:
    source = add_files(tenant, {"a.html": PAGE, "b.png": b"\x89PNG\0\0"})
    assert (source.status, source.documents) == ("ready", 1)
    assert [(p["name"], p["code"]) for p in source.problems] == [("b.png", "unsupported_type")]


def test_source_without_a_readable_file_fails_with_the_reason(tenant: Any, add_files: Add) -> None:
    source = add_files(tenant, {"a.pdf": b"%PDF-1.7 nothing"})
    assert (source.status, source.error_code, source.progress) == ("failed", "extract_failed", 0.0)


def test_unknown_type_is_refused_at_once(tenant: Any) -> None:
    with pytest.raises(Invalid) as caught:
        source_create_from_files(tenant_id=tenant.id, files=[SimpleUploadedFile("a.png", b"\x89PNG\0")])
    assert (caught.value.code, rows(tenant)) == ("unsupported_type", (0, 0, 0, 0))


def test_file_over_the_limit_leaves_nothing(tenant: Any, settings: Any, stored: Path) -> None:
    settings.KNOWLEDGE_MAX_FILE_BYTES = 1000
    files = [SimpleUploadedFile("a.txt", b"ok"), SimpleUploadedFile("b.txt", b"x" * 1001)]
    with pytest.raises(TooLarge):
        source_create_from_files(tenant_id=tenant.id, files=files)
    assert rows(tenant) == (0, 0, 0, 0)
    assert [path for path in stored.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(("count", "code"), [(0, "file_missing"), (3, "too_many_files")])
def test_number_of_files_is_bounded(tenant: Any, settings: Any, count: int, code: str) -> None:
    settings.KNOWLEDGE_MAX_FILES = 2
    with pytest.raises(Invalid) as caught:
        source_create_from_files(tenant_id=tenant.id, files=[SimpleUploadedFile("a.txt", b"x")] * count)
    assert caught.value.code == code


def test_empty_file_is_refused(tenant: Any) -> None:
    with pytest.raises(Invalid) as caught:
        source_create_from_files(tenant_id=tenant.id, files=[SimpleUploadedFile("a.txt", b"")])
    assert caught.value.code == "file_empty"


def test_there_are_a_hundred_names() -> None:
    assert len(set(NAMES)) >= 100


@pytest.mark.parametrize("name", NAMES)
def test_name_of_an_upload_never_reaches_the_file_system(tenant: Any, stored: Path, name: str) -> None:
    upload = SimpleUploadedFile("x", b"words")
    upload._name = name  # type: ignore[attr-defined]  # past Django's own cleaning
    source_create_from_files(tenant_id=tenant.id, files=[upload])
    written = [path for path in stored.parent.rglob("*") if path.is_file()]
    assert len(written) == 1
    assert written[0].parent == stored / str(tenant.id)
    uuid.UUID(written[0].name)


@pytest.mark.parametrize("name", NAMES)
def test_shown_name_is_short_and_harmless(name: str) -> None:
    shown = file_name_clean(name)
    assert 0 < len(shown) <= 200
    assert not set(shown) & set("/\\\x00\n\r\u202e\u2066\u200b\x1b")


def test_files_of_one_name_are_two_documents(tenant: Any) -> None:
    uploads = [SimpleUploadedFile("a.txt", b"first words"), SimpleUploadedFile("a.txt", b"other words")]
    source = run_job(tenant.id, source_create_from_files(tenant_id=tenant.id, files=uploads))
    assert source.documents == 2


def test_text_is_read_as_markdown_under_its_title(tenant: Any, add_text: Add) -> None:
    source = add_text(tenant, "House rules", "# Opening\n\nFrom nine.\n\n## Closing\n\nAt six.")
    found = passages_search(tenant_id=tenant.id, query="closing at six").passages[0]
    assert (source.kind, found.source, found.title, found.heading) == (
        "text", "House rules", "House rules", "Opening › Closing",
    )  # fmt: skip


def test_unchanged_passages_are_not_embedded_again(tenant: Any, add_files: Add, encoder: FakeEncoder) -> None:
    source = add_files(tenant, {"a.html": PAGE})
    before = len(encoder.texts)
    source_reingest(tenant_id=tenant.id, source_id=source.id)
    again = run_job(tenant.id, source)
    assert (again.status, before, len(encoder.texts)) == ("ready", 2, 2)


def test_only_the_changed_passage_is_embedded(tenant: Any, add_files: Add, encoder: FakeEncoder) -> None:
    add_files(tenant, {"a.html": PAGE})
    add_files(tenant, {"a.html": PAGE.replace(b"free", b"paid")})
    assert len(encoder.texts) == 3


def test_vectors_of_another_organisation_are_not_reused(
    tenant: Any, other_tenant: Any, add_files: Add, encoder: FakeEncoder
) -> None:
    add_files(tenant, {"a.html": PAGE})
    add_files(other_tenant, {"a.html": PAGE})
    assert len(encoder.texts) == 4


def test_ingestion_gives_way_to_people(tenant: Any, add_files: Add, encoder: FakeEncoder) -> None:
    add_files(tenant, {"a.html": PAGE})
    assert encoder.priorities == {"batch"}


def test_texts_are_embedded_in_batches_of_64(tenant: Any, add_text: Add, encoder: FakeEncoder) -> None:
    add_text(tenant, "T", "\n\n".join(f"# H{n}\n\nText number {n}." for n in range(150)))
    assert sorted(len(call) for call in encoder.calls) == [22, 64, 64]


def test_unchanged_document_keeps_its_passages(tenant: Any, add_files: Add) -> None:
    source = add_files(tenant, {"a.html": PAGE})
    with tenant_scope(tenant.id):
        before = set(Chunk.objects.values_list("id", flat=True))
    source_reingest(tenant_id=tenant.id, source_id=source.id)
    run_job(tenant.id, source)
    with tenant_scope(tenant.id):
        assert set(Chunk.objects.values_list("id", flat=True)) == before


def test_old_passages_stay_until_the_new_ones_are_ready(
    tenant: Any, add_files: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = add_files(tenant, {"a.html": PAGE})
    seen: list[int] = []
    from apps.knowledge.services import ingest

    real = ingest.source_replace

    def watch(*args: Any) -> None:
        seen.append(len(passages_search(tenant_id=tenant.id, query="postage").passages))
        real(*args)

    monkeypatch.setattr(ingest, "source_replace", watch)
    source_reingest(tenant_id=tenant.id, source_id=source.id)
    run_job(tenant.id, source)
    assert seen == [2]


def test_failed_rereading_keeps_what_was_there(tenant: Any, add_files: Add, stored: Path) -> None:
    source = add_files(tenant, {"a.html": PAGE})
    for path in stored.rglob("*"):
        if path.is_file():
            path.write_bytes(b"\x89PNG\0")
    source_reingest(tenant_id=tenant.id, source_id=source.id)
    again = run_job(tenant.id, source)
    assert (again.status, again.error_code) == ("failed", "unsupported_type")
    assert len(passages_search(tenant_id=tenant.id, query="postage").passages) == 2


def test_source_is_not_read_twice_at_once(tenant: Any) -> None:
    source = source_create_from_text(tenant_id=tenant.id, title="T", text="words")
    with pytest.raises(Conflict) as caught:
        source_reingest(tenant_id=tenant.id, source_id=source.id)
    assert caught.value.code == "source_busy"


def test_job_that_runs_twice_writes_once(tenant: Any, add_text: Add) -> None:
    source = add_text(tenant, "T", "words")
    with tenant_scope(tenant.id):
        job_id = Source.objects.get(id=source.id).job_id
    assert job_run(job_id) is False
    assert rows(tenant) == (1, 1, 1, 1)


def test_source_removed_while_it_is_read_leaves_nothing(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_create_from_text(tenant_id=tenant.id, title="T", text="words")
    from apps.knowledge.services import ingest

    real = ingest.source_documents

    def remove_first(*args: Any, **options: Any) -> Any:
        with tenant_scope(tenant.id):
            Source.objects.filter(id=source.id)._raw_delete("default")
        return real(*args, **options)

    monkeypatch.setattr(ingest, "source_documents", remove_first)
    with tenant_scope(tenant.id):
        job_id = Source.objects.get(id=source.id).job_id
    job_run(job_id)
    assert rows(tenant) == (0, 0, 0, 0)


def test_busy_encoder_is_waited_for(tenant: Any, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = iter([Busy(retry_after_s=0.01), Busy(retry_after_s=0.01)])

    def busy(*args: Any, **options: Any) -> Any:
        error = next(refusals, None)
        if error is not None:
            raise error
        return encoder(*args, **options)

    monkeypatch.setattr("apps.knowledge.services.ingest.embed_texts", busy)
    source = source_create_from_text(tenant_id=tenant.id, title="T", text="words")
    assert run_job(tenant.id, source).status == "ready"


def test_refused_text_of_the_encoder_fails_the_source(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> Any:
        raise Invalid("no", code="embedding_dimensions")

    monkeypatch.setattr("apps.knowledge.services.ingest.embed_texts", refuse)
    source = run_job(tenant.id, source_create_from_text(tenant_id=tenant.id, title="T", text="words"))
    assert (source.status, source.error_code) == ("failed", "embedding_dimensions")


def test_source_with_too_many_passages_says_so(tenant: Any, settings: Any, add_text: Add) -> None:
    settings.KNOWLEDGE_MAX_CHUNKS = 1
    source = add_text(tenant, "T", "# A\n\nx\n\n# B\n\ny")
    assert (source.status, source.error_code) == ("failed", "too_many_passages")


@pytest.mark.django_db(transaction=True)
def test_deletion_removes_rows_and_files(add_files: Add, stored: Path) -> None:
    from apps.tenants.services import organization_create

    tenant = organization_create(name="Del", slug="del")
    source = add_files(tenant, {"a.html": PAGE, "b.txt": b"words"})
    source_delete(tenant_id=tenant.id, source_id=source.id)
    assert rows(tenant) == (0, 0, 0, 0)
    assert [path for path in stored.rglob("*") if path.is_file()] == []
    assert passages_search(tenant_id=tenant.id, query="postage").passages == ()
    with pytest.raises(NotFound):
        source_get(tenant_id=tenant.id, source_id=source.id)


def test_files_of_a_deleted_source_are_also_left_to_a_job(tenant: Any, add_files: Add, stored: Path) -> None:
    """The process may end between the commit and the removal of the files."""
    from apps.jobs.models import Job

    source = add_files(tenant, {"a.html": PAGE})
    source_delete(tenant_id=tenant.id, source_id=source.id)
    assert [path for path in stored.rglob("*") if path.is_file()] != []
    with tenant_scope(tenant.id):
        job_id = Job.objects.get(kind="knowledge.files_delete").id
    job_run(job_id)
    assert [path for path in stored.rglob("*") if path.is_file()] == []


def test_deletion_leaves_other_sources_alone(tenant: Any, add_files: Add) -> None:
    kept = add_files(tenant, {"kept.html": PAGE})
    gone = add_files(tenant, {"gone.html": PAGE})
    source_delete(tenant_id=tenant.id, source_id=gone.id)
    assert {p.source for p in passages_search(tenant_id=tenant.id, query="postage").passages} == {"kept.html"}
    assert source_get(tenant_id=tenant.id, source_id=kept.id).documents == 1


@pytest.mark.parametrize("make", [lambda s: s.id, lambda s: uuid.uuid4(), lambda s: "nonsense", lambda s: "\x00"])
@pytest.mark.parametrize("act", [source_get, source_delete, source_reingest])
def test_foreign_source_looks_missing(
    tenant: Any, other_tenant: Any, add_text: Add, act: Any, make: Callable[[Any], object]
) -> None:
    theirs = add_text(other_tenant, "T", "words")
    with pytest.raises(NotFound) as caught:
        act(tenant_id=tenant.id, source_id=make(theirs))
    assert caught.value.code == "source_not_found"


def test_list_holds_only_own_sources_newest_first(tenant: Any, other_tenant: Any, add_text: Add) -> None:
    add_text(other_tenant, "theirs", "words")
    add_text(tenant, "one", "words")
    add_text(tenant, "two", "words")
    first, cursor = sources_list(tenant_id=tenant.id, limit=1)
    second, end = sources_list(tenant_id=tenant.id, limit=1, cursor=cursor or "")
    assert ([s.name for s in first + second], end) == (["two", "one"], None)


@pytest.mark.parametrize("table", ["knowledge_source", "knowledge_sourcefile", "knowledge_document", "knowledge_chunk"])
def test_rows_are_invisible_without_a_tenant(tenant: Any, add_files: Add, table: str) -> None:
    add_files(tenant, {"a.html": PAGE})
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT count(*) FROM "{table}"')
        assert cursor.fetchone() == (0,)


@pytest.mark.parametrize("collection", ["Ünïcode", "a b", "-x", "x" * 61, "a/b", "a\x00b"])
def test_collection_is_a_slug(tenant: Any, collection: str) -> None:
    with pytest.raises(Invalid) as caught:
        source_create_from_text(tenant_id=tenant.id, title="T", text="x", collection=collection)
    assert caught.value.code == "collection_invalid"


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://[::1]/", "file:///etc/passwd", "http://10.0.0.1/", "x"])
def test_private_address_is_refused_at_once(tenant: Any, settings: Any, url: str) -> None:
    settings.EGRESS_ALLOW_CIDRS = []
    with pytest.raises(AppError) as caught:
        source_create_from_url(tenant_id=tenant.id, url=url)
    assert (caught.value.code, rows(tenant)[0]) == ("address_refused", 0)


@pytest.mark.parametrize("text", ["", "  \n "])
def test_empty_text_is_refused(tenant: Any, text: str) -> None:
    with pytest.raises(Invalid) as caught:
        source_create_from_text(tenant_id=tenant.id, title="T", text=text)
    assert caught.value.code == "text_missing"


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "\u202eabc", "😀" * 100, "x" * 100_000])
def test_odd_text_is_read(tenant: Any, add_text: Add, text: str) -> None:
    assert add_text(tenant, text[:50], "words " + text).status == "ready"


def test_reading_writes_an_event(tenant: Any, add_text: Add) -> None:
    from apps.events.models import Event

    source = add_text(tenant, "T", "words")
    with tenant_scope(tenant.id):
        assert list(Event.objects.values_list("type", "subject_id")) == [("source.ready", source.id)]
