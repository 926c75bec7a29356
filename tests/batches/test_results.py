"""Batches through the API: every row once, errors in place, formats, drafts, what is refused."""

from __future__ import annotations

import csv
import io
from typing import Any

import openpyxl
import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client

from apps.batches.models import Batch
from apps.batches.services import create
from apps.core.tenancy import tenant_scope
from tests.batches.calls import batch_start, batch_upload, content_of, jobs_run, lines_of
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db(transaction=True)

TEXTS = ["Das ist ein deutscher Satz über das Wetter.", "This is an English sentence.", "", "Ceci est une phrase."]


# -- the whole way ---------------------------------------------------------------------------------------------------
def test_every_item_has_one_result_in_order_and_errors_are_in_place(api: ApiClient) -> None:
    batch_id = batch_start(api, TEXTS)
    queued = api.get(f"/jobs/{batch_id}").json()
    assert (queued["status"], queued["progress"], queued["eta_s"]) == ("queued", 0.0, None)
    jobs_run()
    done = api.get(f"/jobs/{batch_id}").json()
    assert (done["status"], done["progress"], done["total"], done["done"], done["failed"]) == ("done", 1.0, 4, 4, 1)
    lines = lines_of(api, batch_id)
    assert [line["row"] for line in lines] == [0, 1, 2, 3]
    assert [line.get("label") for line in lines] == ["de", "en", None, "fr"]
    assert lines[2]["error"]["code"] == "text_empty"
    assert lines[0]["result"]["language"] == "de"


def test_a_csv_with_columns_comes_back_with_id_source_and_time(api: ApiClient) -> None:
    content = "id;when;shop;words\n7;2026-01-02;north;Good morning to everybody\n8;;south;Guten Morgen zusammen\n"
    names = {"column": "words", "time_column": "when", "source_column": "shop", "id_column": "id"}
    made = batch_upload(api, "a.csv", content.encode(), **names)
    assert made.status_code == 202, made.content
    jobs_run()
    rows = list(csv.DictReader(io.StringIO(content_of(api, made.json()["id"], "?format=csv").decode(), newline="")))
    assert [(row["id"], row["time"], row["source"], row["label"]) for row in rows] == [
        ("7", "2026-01-02T00:00:00Z", "north", "en"),
        ("8", "", "south", "de"),
    ]


def test_a_workbook_goes_in_and_out(api: ApiClient, tmp_path: Any) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (["text"], ["=1+1 ist eine Formel, sagt man"], ["Guten Morgen"]):
        book.active.append([f"'{cell}" if cell.startswith("=") else cell for cell in row])
    book.save(tmp_path / "in.xlsx")
    made = batch_upload(api, "in.xlsx", (tmp_path / "in.xlsx").read_bytes())
    assert made.status_code == 202, made.content
    jobs_run()
    (tmp_path / "out.xlsx").write_bytes(content_of(api, made.json()["id"], "?format=xlsx"))
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx").active
    assert sheet is not None
    assert [row[6].value for row in sheet.iter_rows(min_row=2)] == ["de", "de"]


def test_formula_cells_of_results_are_neutralised(api: ApiClient) -> None:
    batch_id = batch_start(api, [{"text": "=HYPERLINK(1) is a formula", "id": "@x", "source": "+cmd|x"}])
    jobs_run()
    row = next(csv.DictReader(io.StringIO(content_of(api, batch_id, "?format=csv").decode())))
    assert (row["text"][0], row["id"], row["source"]) == ("'", "'@x", "'+cmd|x")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"task": "language", "items": []}, "items_missing"),
        ({"task": "language", "items": [{"no": "text"}]}, "invalid"),
        ({"task": "nothing", "items": ["x"]}, "task_not_found"),
        ({"task": "language", "items": ["x"], "options": {"wrong": 1}}, "options_invalid"),
        ({"task": "language"}, "invalid"),
    ],
)
def test_a_wrong_body_is_refused_and_leaves_nothing(api: ApiClient, tenant: Any, body: Any, code: str) -> None:
    response = api.post("/jobs", body)
    assert response.json()["error"]["code"] == code
    with tenant_scope(tenant.id):
        assert Batch.objects.count() == 0
    assert not default_storage.exists(str(tenant.id)) or default_storage.listdir(str(tenant.id))[1] == []


@pytest.mark.parametrize(
    ("name", "content", "fields", "code"),
    [
        ("a.csv", b"a,b\n1,2\n", {}, "column_missing"),
        ("a.csv", b"a,b\n1,2\n", {"column": "c"}, "column_unknown"),
        ("a.csv", b"", {}, "file_empty"),
        ("a.pdf", b"%PDF", {}, "unsupported_type"),
        ("a.xlsx", b"PK\x03\x04torn", {}, "malformed"),
        ("a.csv", b"text\nx\n", {"options": "[1]"}, "options_invalid"),
        ("a.csv", b"text\nx\n", {"encoding": "klingon"}, "encoding_unknown"),
        ("a.csv", b"text\nx\n", {"encoding": "base64"}, "encoding_unknown"),
    ],
)
def test_a_wrong_file_is_refused_and_leaves_nothing(
    api: ApiClient, tenant: Any, name: str, content: bytes, fields: dict[str, str], code: str
) -> None:
    response = batch_upload(api, name, content, **fields)
    assert (response.status_code, response.json()["error"]["code"]) == (422, code)
    with tenant_scope(tenant.id):
        assert Batch.objects.count() == 0
    assert not default_storage.exists(str(tenant.id)) or default_storage.listdir(str(tenant.id))[1] == []


def test_a_file_above_the_limit_is_refused(api: ApiClient, settings: Any) -> None:
    settings.BATCH_MAX_FILE_BYTES = 100
    response = batch_upload(api, "a.csv", b"text\n" + b"x" * 200)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")


def test_odd_texts_are_rows_like_others(api: ApiClient) -> None:
    odd = ["\x00nul", "{braces", "x" * 200_001, "🙂" * 10, "مرحبا بالعالم", "<b>=1</b>", "\x1b[31m", " ", "a\nb"]
    batch_id = batch_start(api, odd)
    jobs_run()
    lines = lines_of(api, batch_id)
    assert len(lines) == len(odd)
    assert lines[2]["error"]["code"] == "text_too_long"
    assert lines[7]["error"]["code"] == "text_empty"
    assert lines[0]["text"] == "�nul"


def test_a_broken_line_is_an_error_of_its_row(api: ApiClient) -> None:
    content = rb"""{"text": "Good morning everybody"}
{broken
"Guten Morgen zusammen"
"\ud800 half a character, and some words"
"""
    made = batch_upload(api, "a.jsonl", content)
    jobs_run()
    lines = lines_of(api, made.json()["id"])
    assert [line.get("label") or line["error"]["code"] for line in lines] == ["en", "line_invalid", "de", "en"]
    assert lines[3]["text"].startswith("? half")


def test_the_same_idempotency_key_makes_one_batch(api: ApiClient, tenant: Any) -> None:
    body = {"task": "language", "items": ["x"]}
    ids = {api.post("/jobs", body, **{"Idempotency-Key": "k1"}).json()["id"] for _ in range(2)}
    with tenant_scope(tenant.id):
        assert (len(ids), Batch.objects.count()) == (1, 1)


# -- a draft ---------------------------------------------------------------------------------------------------------
def test_a_draft_is_looked_at_and_started(api: ApiClient) -> None:
    made = batch_upload(api, "a.csv", b"date,words\n2026-01-02,Good morning to everybody\n", start="false").json()
    draft = api.get(f"/jobs/{made['id']}").json()
    assert (draft["status"], draft["preview"]["header"]) == ("draft", ["date", "words"])
    assert draft["preview"]["guess"] == {"time": "date", "text": "words"}
    path = f"/jobs/{made['id']}/start"
    assert api.post(path, {"task": "language"}).json()["error"]["code"] == "column_missing"
    started = api.post(path, {"task": "language", "columns": {"text": "words"}, "topics": False})
    assert started.json()["status"] == "queued"
    assert api.post(path, {"task": "language"}).json()["error"]["code"] == "batch_started"
    jobs_run()
    assert lines_of(api, made["id"])[0]["label"] == "en"


def test_a_first_row_without_names_is_a_row(api: ApiClient) -> None:
    made = batch_upload(api, "a.csv", b"Good morning to everybody\nGuten Morgen zusammen\n", header="false")
    jobs_run()
    assert [line["label"] for line in lines_of(api, made.json()["id"])] == ["en", "de"]


@pytest.mark.parametrize("key", ["", "once"])
def test_a_file_is_read_in_no_transaction(api: ApiClient, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    seen = []
    real = create.table_preview_boxed

    def look(*arguments: Any, **options: Any) -> Any:
        seen.append(connection.in_atomic_block)
        return real(*arguments, **options)

    monkeypatch.setattr(create, "table_preview_boxed", look)
    before = connection.in_atomic_block
    client = Client(headers={"Authorization": f"Bearer {api.secret}", "Host": "127.0.0.1", "Idempotency-Key": key})
    form = {"task": "language", "topics": "false", "file": SimpleUploadedFile("a.csv", b"text\nx\n")}
    assert client.post("/api/v1/jobs", form).status_code == 202
    assert seen == [before] == [False]


def test_a_file_sent_again_with_its_key_is_one_batch_and_one_file(api: ApiClient, tenant: Any) -> None:
    client = Client(headers={"Authorization": f"Bearer {api.secret}", "Host": "127.0.0.1", "Idempotency-Key": "k1"})
    made = [
        client.post(
            "/api/v1/jobs", {"task": "language", "topics": "false", "file": SimpleUploadedFile("a.csv", b"text\nx\n")}
        )
        for _ in range(2)
    ]
    assert made[0].json()["id"] == made[1].json()["id"]
    with tenant_scope(tenant.id):
        assert Batch.objects.count() == 1
    assert len(default_storage.listdir(str(tenant.id))[1]) == 1
