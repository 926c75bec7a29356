"""Batches through the API and their jobs: every row once, errors in place, bounds, filters, removal."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import openpyxl
import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from apps.analysis.batches.types import RowFilter
from apps.analysis.management.commands.batch import bar_line
from apps.analysis.models import Batch, BatchCell, BatchRow
from apps.analysis.selectors.batches import batch_get
from apps.analysis.services.batches import batch_create_from_items, batches_prune, chunks, create, run, topics
from apps.core.clock import now
from apps.core.errors import Busy, Conflict, Invalid
from apps.core.tenancy import tenant_scope
from apps.jobs.models import JobDispatch
from apps.jobs.services import job_run
from tests import fakes
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db(transaction=True)

TEXTS = ["Das ist ein deutscher Satz über das Wetter.", "This is an English sentence.", "", "Ceci est une phrase."]


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels())


@pytest.fixture(autouse=True)
def _hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test is the broker."""
    monkeypatch.setattr("apps.jobs.services.enqueue.broker_hint", lambda job_id, queue: None)


@pytest.fixture(autouse=True)
def _files(settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = str(tmp_path / "files")


def _run(most: int = 100) -> int:
    """Run jobs as they come until none waits; returns how many."""
    for count in range(most):
        waiting = JobDispatch.objects.filter(status="queued").order_by("next_attempt_at").first()
        if waiting is None:
            return count
        job_run(waiting.job_id)
    raise AssertionError("jobs do not end")


def _start(api: ApiClient, items: list[Any], **more: Any) -> str:
    response = api.post("/jobs", {"task": "language", "items": items, "topics": False, **more})
    assert response.status_code == 202, response.content
    return response.json()["id"]


def _upload(api: ApiClient, name: str, content: bytes, **fields: Any) -> Any:
    client = Client(headers={"Authorization": f"Bearer {api.secret}", "Host": "127.0.0.1"})
    form = {"task": "language", "topics": "false", "file": SimpleUploadedFile(name, content), **fields}
    return client.post("/api/v1/jobs", form)


def _content(api: ApiClient, batch_id: str, query: str = "") -> bytes:
    response = api.get(f"/jobs/{batch_id}/results{query}")
    assert response.status_code == 200, response.content

    async def parts() -> list[bytes]:
        return [part async for part in response.streaming_content]

    return b"".join(asyncio.run(parts()))


def _lines(api: ApiClient, batch_id: str, query: str = "") -> list[dict[str, Any]]:
    return [json.loads(line) for line in _content(api, batch_id, query).splitlines()]


# -- the whole way ---------------------------------------------------------------------------------------------------
def test_every_item_has_one_result_in_order_and_errors_are_in_place(api: ApiClient) -> None:
    batch_id = _start(api, TEXTS)
    queued = api.get(f"/jobs/{batch_id}").json()
    assert (queued["status"], queued["progress"], queued["eta_s"]) == ("queued", 0.0, None)
    _run()
    done = api.get(f"/jobs/{batch_id}").json()
    assert (done["status"], done["progress"], done["total"], done["done"], done["failed"]) == ("done", 1.0, 4, 4, 1)
    lines = _lines(api, batch_id)
    assert [line["row"] for line in lines] == [0, 1, 2, 3]
    assert [line.get("label") for line in lines] == ["de", "en", None, "fr"]
    assert lines[2]["error"]["code"] == "text_empty"
    assert lines[0]["result"]["language"] == "de"


def test_a_csv_with_columns_comes_back_with_id_source_and_time(api: ApiClient) -> None:
    content = "id;when;shop;words\n7;2026-01-02;north;Good morning to everybody\n8;;south;Guten Morgen zusammen\n"
    names = {"column": "words", "time_column": "when", "source_column": "shop", "id_column": "id"}
    made = _upload(api, "a.csv", content.encode(), **names)
    assert made.status_code == 202, made.content
    _run()
    rows = list(csv.DictReader(io.StringIO(_content(api, made.json()["id"], "?format=csv").decode(), newline="")))
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
    made = _upload(api, "in.xlsx", (tmp_path / "in.xlsx").read_bytes())
    assert made.status_code == 202, made.content
    _run()
    (tmp_path / "out.xlsx").write_bytes(_content(api, made.json()["id"], "?format=xlsx"))
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx").active
    assert sheet is not None
    assert [row[6].value for row in sheet.iter_rows(min_row=2)] == ["de", "de"]


def test_formula_cells_of_results_are_neutralised(api: ApiClient) -> None:
    batch_id = _start(api, [{"text": "=HYPERLINK(1) is a formula", "id": "@x", "source": "+cmd|x"}])
    _run()
    row = next(csv.DictReader(io.StringIO(_content(api, batch_id, "?format=csv").decode())))
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
    response = _upload(api, name, content, **fields)
    assert (response.status_code, response.json()["error"]["code"]) == (422, code)
    with tenant_scope(tenant.id):
        assert Batch.objects.count() == 0
    assert not default_storage.exists(str(tenant.id)) or default_storage.listdir(str(tenant.id))[1] == []


def test_a_file_above_the_limit_is_refused(api: ApiClient, settings: Any) -> None:
    settings.BATCH_MAX_FILE_BYTES = 100
    response = _upload(api, "a.csv", b"text\n" + b"x" * 200)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")


def test_odd_texts_are_rows_like_others(api: ApiClient) -> None:
    odd = ["\x00nul", "{braces", "x" * 200_001, "🙂" * 10, "مرحبا بالعالم", "<b>=1</b>", "\x1b[31m", " ", "a\nb"]
    batch_id = _start(api, odd)
    _run()
    lines = _lines(api, batch_id)
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
    made = _upload(api, "a.jsonl", content)
    _run()
    lines = _lines(api, made.json()["id"])
    assert [line.get("label") or line["error"]["code"] for line in lines] == ["en", "line_invalid", "de", "en"]
    assert lines[3]["text"].startswith("? half")


def test_the_same_idempotency_key_makes_one_batch(api: ApiClient, tenant: Any) -> None:
    body = {"task": "language", "items": ["x"]}
    ids = {api.post("/jobs", body, **{"Idempotency-Key": "k1"}).json()["id"] for _ in range(2)}
    with tenant_scope(tenant.id):
        assert (len(ids), Batch.objects.count()) == (1, 1)


# -- going on, stopping ----------------------------------------------------------------------------------------------
class Killed(BaseException):
    """What a kill looks like from inside: nothing of ours runs after it."""


def _items(count: int) -> list[dict[str, Any]]:
    return [
        {
            "text": f"This is sentence number {n}.",
            "id": str(n),
            "source": f"s{n % 3}",
            "time": f"2026-01-{1 + n % 20:02}",
        }
        for n in range(count)
    ]


def _assert_each_once(tenant_id: uuid.UUID, batch_id: str, count: int) -> None:
    with tenant_scope(tenant_id):
        rows = list(
            BatchRow.objects.filter(batch_id=batch_id).order_by("position").values_list("position", "reference")
        )
        assert rows == [(n, str(n)) for n in range(count)]
        assert sum(BatchCell.objects.filter(batch_id=batch_id).values_list("rows", flat=True)) == count
        assert Batch.objects.get(id=batch_id).position == count


@pytest.mark.parametrize("where", ["before the commit", "after the commit"])
def test_a_kill_between_any_two_steps_loses_and_doubles_nothing(
    api: ApiClient, tenant: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    batch_id = _start(api, _items(300))
    real, calls = run.chunk_commit, {"n": 0}

    def commit(batch: Batch, chunk: chunks.Chunk) -> None:
        calls["n"] += 1
        real(batch, chunk)
        if calls["n"] in {2, 4, 7} and where == "before the commit":
            raise Killed

    computed = run.chunk_compute

    def compute(*args: Any, **named: Any) -> None:
        if calls["n"] in {2, 4, 7} and where == "after the commit":
            calls["n"] += 1
            raise Killed
        computed(*args, **named)

    monkeypatch.setattr(run, "chunk_commit", commit)
    monkeypatch.setattr(run, "chunk_compute", compute)
    kills = 0
    while JobDispatch.objects.filter(status__in=["queued", "running"]).exists():
        job = JobDispatch.objects.get(status__in=["queued", "running"])
        try:
            job_run(job.job_id)
        except Killed:
            kills += 1
            JobDispatch.objects.filter(job_id=job.job_id).update(lease_until=now() - timedelta(seconds=1))
    assert kills == 3
    _assert_each_once(tenant.id, batch_id, 300)
    assert batch_get(tenant_id=tenant.id, batch_id=batch_id).status == "done"


def test_two_workers_on_one_batch_double_nothing(api: ApiClient, tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = _start(api, _items(100))
    real, entered = run.chunk_compute, {"n": 0}

    def compute(*args: Any, **named: Any) -> None:
        real(*args, **named)
        entered["n"] += 1
        if entered["n"] == 2:  # the lease runs out here, and another worker does all the rest
            job = JobDispatch.objects.get(status="running")
            JobDispatch.objects.filter(job_id=job.job_id).update(lease_until=now() - timedelta(seconds=1))
            job_run(job.job_id)

    monkeypatch.setattr(run, "chunk_compute", compute)
    _run()
    _assert_each_once(tenant.id, batch_id, 100)


def test_a_long_batch_gives_way_and_goes_on(api: ApiClient, tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SLICE_S", 0.0)
    monkeypatch.setattr(run, "FIRST_CHUNK_ROWS", 1)
    batch_id = _start(api, _items(5))
    assert _run() == 5  # a chunk is the least that a job does
    _assert_each_once(tenant.id, batch_id, 5)


def test_a_paused_batch_does_nothing_and_goes_on_where_it_was(
    api: ApiClient, tenant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = _start(api, _items(300))
    real = run.chunk_commit

    def commit(batch: Batch, chunk: chunks.Chunk) -> None:
        real(batch, chunk)
        monkeypatch.setattr(run, "chunk_commit", real)
        paused.append(batch.position)

    paused: list[int] = []
    monkeypatch.setattr(run, "chunk_commit", commit)
    real_compute = run.chunk_compute

    def compute(*args: Any, **named: Any) -> None:
        if paused and len(paused) == 1:
            paused.append(api.post(f"/jobs/{batch_id}/pause").status_code)
        real_compute(*args, **named)

    monkeypatch.setattr(run, "chunk_compute", compute)
    _run()
    info = api.get(f"/jobs/{batch_id}").json()
    assert (info["status"], info["done"], paused[1]) == ("paused", paused[0], 200)
    assert api.post(f"/jobs/{batch_id}/pause").json()["error"]["code"] == "batch_not_running"
    assert api.post(f"/jobs/{batch_id}/resume").json()["status"] == "queued"
    _run()
    _assert_each_once(tenant.id, batch_id, 300)


def test_a_cancelled_batch_keeps_what_is_done(api: ApiClient, tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = _start(api, _items(300))
    real = run.chunk_compute

    def compute(*args: Any, **named: Any) -> None:
        if batch_get(tenant_id=tenant.id, batch_id=batch_id).done:
            api.delete(f"/jobs/{batch_id}")
        real(*args, **named)

    monkeypatch.setattr(run, "chunk_compute", compute)
    _run()
    info = api.get(f"/jobs/{batch_id}").json()
    assert info["status"] == "cancelled"
    assert len(_lines(api, batch_id)) == info["done"] == run.FIRST_CHUNK_ROWS
    assert api.delete(f"/jobs/{batch_id}").json()["status"] == "cancelled"
    assert api.post(f"/jobs/{batch_id}/resume").json()["error"]["code"] == "batch_not_paused"


def test_a_purged_batch_is_gone_at_once_and_its_rows_soon(api: ApiClient, tenant: Any) -> None:
    batch_id = _start(api, _items(30))
    _run()
    assert api.delete(f"/jobs/{batch_id}?purge=true").status_code == 204
    assert api.get(f"/jobs/{batch_id}").json()["error"]["code"] == "batch_not_found"
    assert api.get("/jobs").json()["items"] == []
    _run()
    with tenant_scope(tenant.id):
        assert (Batch.objects.count(), BatchRow.objects.count(), BatchCell.objects.count()) == (0, 0, 0)
    assert default_storage.listdir(str(tenant.id))[1] == []


def test_old_batches_and_forgotten_drafts_are_removed(api: ApiClient, tenant: Any) -> None:
    old, fresh = _start(api, ["a text"]), _start(api, ["a text"])
    _run()
    with tenant_scope(tenant.id):
        Batch.objects.filter(id=old).update(finished_at=now() - timedelta(days=91))
        draft = Batch.objects.create(name="draft", format="csv")
        Batch.objects.filter(id=draft.id).update(created_at=now() - timedelta(days=2))
    assert batches_prune() == 2
    _run()
    assert [item["id"] for item in api.get("/jobs").json()["items"]] == [fresh]


# -- what goes wrong -------------------------------------------------------------------------------------------------
def test_one_text_that_breaks_the_task_takes_no_other_with_it(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    real = chunks.nlp_run

    def broken(**named: Any) -> Any:
        if any("number 13." in text for text in named["texts"]):
            raise ZeroDivisionError
        if any("number 27." in text for text in named["texts"]):
            raise Invalid("No.", code="refused")
        return real(**named)

    monkeypatch.setattr(chunks, "nlp_run", broken)
    batch_id = _start(api, _items(40))
    _run()
    failed = {line["row"]: line["error"]["code"] for line in _lines(api, batch_id, "?label=~error")}
    assert failed == {13: "internal", 27: "refused"}
    assert len(_lines(api, batch_id)) == 40


def test_a_batch_waits_for_room(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    real, refusals = chunks.nlp_run, [Busy(retry_after_s=0.01)] * 3

    def busy(**named: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return real(**named)

    monkeypatch.setattr(chunks, "nlp_run", busy)
    batch_id = _start(api, ["a text"])
    _run()
    assert api.get(f"/jobs/{batch_id}").json()["status"] == "done"
    assert refusals == []


def test_a_chunk_lets_people_pass_but_not_for_ever(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    monkeypatch.setattr(chunks, "GIVE_WAY_S", 0.3)
    monkeypatch.setattr(chunks, "permits_in_use", lambda: looks.append(time.monotonic()) or 1)
    batch_id = _start(api, ["a text"])
    _run()
    assert looks[-1] - looks[0] >= 0.2
    assert api.get(f"/jobs/{batch_id}").json()["status"] == "done"


def test_without_models_for_long_the_batch_fails_and_can_go_on(
    api: ApiClient, tenant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = chunks.nlp_run

    def away(**named: Any) -> Any:
        raise Busy

    monkeypatch.setattr(chunks, "nlp_run", away)
    monkeypatch.setattr(chunks, "PATIENCE_S", -1.0)
    batch_id = _start(api, _items(20))
    _run()
    info = api.get(f"/jobs/{batch_id}").json()
    assert (info["status"], info["error"]["code"]) == ("failed", "busy")
    monkeypatch.setattr(chunks, "nlp_run", real)
    assert api.post(f"/jobs/{batch_id}/resume").status_code == 200
    _run()
    _assert_each_once(tenant.id, batch_id, 20)


def test_more_rows_than_allowed_fail_the_batch(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.analysis.services.batches.reading.MAX_ROWS", 3)
    batch_id = _start(api, ["a", "b", "c", "d"])
    _run()
    info = api.get(f"/jobs/{batch_id}").json()
    assert (info["status"], info["error"]["code"], info["done"]) == ("failed", "too_many_rows", 0)


def test_an_organisation_has_a_bounded_number_of_open_batches(
    tenant: Any, api: ApiClient, other_api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(create, "MAX_OPEN", 2)
    _start(api, ["x"])
    _start(api, ["x"])
    refused = api.post("/jobs", {"task": "language", "items": ["x"]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "too_many_batches")
    assert refused.headers["Retry-After"]
    assert other_api.post("/jobs", {"task": "language", "items": ["x"]}).status_code == 202


def test_kept_rows_are_bounded(tenant: Any, api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    _start(api, ["x", "y"])
    _run()
    monkeypatch.setattr(create, "MAX_KEPT_ROWS", 2)
    with pytest.raises(Conflict, match="Delete"):
        batch_create_from_items(tenant_id=tenant.id, task="language", items=["x"])


# -- reading ---------------------------------------------------------------------------------------------------------
def _coloured(api: ApiClient) -> str:
    """German in the north, English in the south; an empty text on the third day."""
    german, english = "Das Wetter ist heute wirklich schön.", "The weather is really nice today."
    rows = [(german, "north", 1)] * 5 + [(english, "south", 2)] * 3 + [("", "south", 3)]
    batch_id = _start(api, [{"text": t, "source": s, "time": f"2026-01-{d:02}T10:00:00Z"} for t, s, d in rows])
    _run()
    return batch_id


def test_a_summary_counts_by_label_source_and_time(api: ApiClient) -> None:
    found = api.get(f"/jobs/{_coloured(api)}/summary").json()
    assert found["rows"] == 9
    assert [(bar["name"], bar["rows"]) for bar in found["labels"]] == [("de", 5), ("en", 3), ("~error", 1)]
    assert [(bar["name"], bar["rows"], bar["labels"]) for bar in found["sources"]] == [
        ("north", 5, {"de": 5}),
        ("south", 4, {"en": 3, "~error": 1}),
    ]
    assert found["trend"]["unit"] == "hour"
    assert [(p["from"], p["rows"]) for p in found["trend"]["points"]] == [
        ("2026-01-01T10:00:00Z", 5),
        ("2026-01-02T10:00:00Z", 3),
        ("2026-01-03T10:00:00Z", 1),
    ]
    assert found["topics"] == []


def test_a_filter_leaves_the_chart_of_its_own_dimension_whole(api: ApiClient) -> None:
    found = api.get(f"/jobs/{_coloured(api)}/summary?source=south").json()
    assert found["rows"] == 4
    assert [bar["name"] for bar in found["labels"]] == ["en", "~error"]
    assert [bar["name"] for bar in found["sources"]] == ["north", "south"]
    assert [point["rows"] for point in found["trend"]["points"]] == [3, 1]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("label=de", [0, 1, 2, 3, 4]),
        ("label=~error", [8]),
        ("source=south", [5, 6, 7, 8]),
        ("source=south&label=en", [5, 6, 7]),
        ("since=2026-01-02&until=2026-01-03", [5, 6, 7]),
        ("since=2026-01-02T10:00:00Z&until=2026-01-02T11:00:00Z", [5, 6, 7]),
        ("since=1900-01-01", list(range(9))),
        ("until=1900-01-01", []),
        ("label=xx", []),
        ("topic=none", []),
    ],
)
def test_the_texts_behind_each_bar(api: ApiClient, query: str, rows: list[int]) -> None:
    batch_id = _coloured(api)
    assert [line["row"] for line in _lines(api, batch_id, f"?{query}")] == rows
    page = api.get(f"/jobs/{batch_id}/results?format=json&limit=100&{query}").json()
    assert [item["row"] for item in page["items"]] == rows
    assert api.get(f"/jobs/{batch_id}/summary?{query}").json()["rows"] == len(rows)


def test_pages_follow_one_another(api: ApiClient) -> None:
    batch_id = _coloured(api)
    seen, cursor = [], ""
    for _ in range(3):
        page = api.get(f"/jobs/{batch_id}/results?format=json&limit=4&cursor={cursor}").json()
        seen += [item["row"] for item in page["items"]]
        cursor = page["next_cursor"] or ""
    assert (seen, cursor) == (list(range(9)), "")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("format=pdf", "format_unknown"),
        ("since=soon", "time_invalid"),
        ("format=json&cursor=abc", "cursor_invalid"),
        ("format=json&cursor=-1", "cursor_invalid"),
        ("format=json&limit=101", "limit_invalid"),
    ],
)
def test_a_wrong_query_is_refused(api: ApiClient, query: str, code: str) -> None:
    batch_id = _start(api, ["x"])
    assert api.get(f"/jobs/{batch_id}/results?{query}").json()["error"]["code"] == code


def test_sources_beyond_the_bound_are_counted_together(api: ApiClient) -> None:
    batch_id = _start(api, [{"text": "x", "source": f"s{n}"} for n in range(35)] + [{"text": "x"}])
    _run()
    found = {bar["name"]: bar["rows"] for bar in api.get(f"/jobs/{batch_id}/summary").json()["sources"]}
    assert (len(found), found["~other"], found["~none"]) == (32, 5, 1)
    assert len(_lines(api, batch_id, "?source=~other")) == 5


def test_topics_name_what_texts_are_about(api: ApiClient, models: fakes.FakeModels) -> None:
    assert topics.embed_texts.__self__ is models
    kinds = [
        "The parcel arrived late because the courier lost the parcel on delivery.",
        "Please refund the invoice, the invoice payment was charged twice.",
        "The password reset fails and the login page shows an error.",
    ]
    items = [f"{kinds[n % 3]} Case {n}." for n in range(120)]
    batch_id = _start(api, items, topics=True)
    _run()
    found = api.get(f"/jobs/{batch_id}/summary").json()["topics"]
    assert sum(bar["rows"] for bar in found) == 120
    assert all(bar["name"] for bar in found)
    by_kind = [{line["topic"] for line in _lines(api, batch_id) if line["row"] % 3 == kind} for kind in range(3)]
    assert by_kind[0] & by_kind[1] == by_kind[1] & by_kind[2] == by_kind[0] & by_kind[2] == set()
    bar = found[0]["name"]
    assert {line["topic"] for line in _lines(api, batch_id, f"?topic={bar}")} == {bar}


def test_few_texts_have_no_topics(api: ApiClient) -> None:
    batch_id = _start(api, ["one", "two"], topics=True)
    _run()
    info = api.get(f"/jobs/{batch_id}").json()
    assert (info["topics"], info["topics_note"], info["status"]) == ([], "too_few", "done")


def test_what_ended_is_an_event(api: ApiClient, tenant: Any) -> None:
    from apps.events.models import Event

    batch_id = _start(api, ["x"])
    _run()
    with tenant_scope(tenant.id):
        assert Event.objects.filter(type="batch.finished", subject_id=batch_id).count() == 1


def test_a_filter_of_nothing_is_all() -> None:
    assert RowFilter() == RowFilter("", "", "", None, None)


# -- the terminal ----------------------------------------------------------------------------------------------------
def _command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("batch", *arguments, "--org", "acme", stdout=out)
    return out.getvalue()


def test_the_command_runs_a_file_and_saves_the_results(
    tenant: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: _run())
    (tmp_path / "in.csv").write_text("words\nGood morning to everybody\nGuten Morgen zusammen\n")
    made = json.loads(
        _command("run", str(tmp_path / "in.csv"), "--task", "language", "--json", "--out", str(tmp_path / "out.csv"))
    )
    assert (made["status"], made["done"]) == ("done", 2)
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [row["label"] for row in rows] == ["en", "de"]
    assert "2 of 2 rows" in _command("list")
    assert json.loads(_command("show", made["id"], "--json"))["id"] == made["id"]


def test_the_command_pauses_resumes_cancels_and_deletes(tenant: Any, api: ApiClient) -> None:
    batch_id = _start(api, ["x"])
    assert "paused" in _command("pause", batch_id)
    assert "queued" in _command("resume", batch_id)
    assert "cancelled" in _command("cancel", batch_id)
    assert _command("delete", batch_id) == ""
    with pytest.raises(CommandError, match="batch_not_found"):
        _command("show", batch_id)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "/nowhere.csv"], "is not there"),
        (["run", __file__, "--options", "{"], "no JSON"),
        (["run", __file__, "--task", "nothing"], "task_not_found"),
        (["save", "x"], "batch_not_found"),
    ],
)
def test_the_command_says_what_is_wrong(tenant: Any, arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        _command(*arguments)


def test_the_bar_shows_rate_and_time_left(tenant: Any, api: ApiClient) -> None:
    info = batch_get(tenant_id=tenant.id, batch_id=_start(api, ["x"]))
    running = replace(info, status="running", total=1000, done=250, rate_per_s=10.0)
    assert bar_line(running, width=4).endswith("[█···]  25%  250 of 1,000, 10 rows/s, 1:15 left")


# -- a draft ---------------------------------------------------------------------------------------------------------
def test_a_draft_is_looked_at_and_started(api: ApiClient) -> None:
    made = _upload(api, "a.csv", b"date,words\n2026-01-02,Good morning to everybody\n", start="false").json()
    draft = api.get(f"/jobs/{made['id']}").json()
    assert (draft["status"], draft["preview"]["header"]) == ("draft", ["date", "words"])
    assert draft["preview"]["guess"] == {"time": "date", "text": "words"}
    path = f"/jobs/{made['id']}/start"
    assert api.post(path, {"task": "language"}).json()["error"]["code"] == "column_missing"
    started = api.post(path, {"task": "language", "columns": {"text": "words"}, "topics": False})
    assert started.json()["status"] == "queued"
    assert api.post(path, {"task": "language"}).json()["error"]["code"] == "batch_started"
    _run()
    assert _lines(api, made["id"])[0]["label"] == "en"


def test_a_first_row_without_names_is_a_row(api: ApiClient) -> None:
    made = _upload(api, "a.csv", b"Good morning to everybody\nGuten Morgen zusammen\n", header="false")
    _run()
    assert [line["label"] for line in _lines(api, made.json()["id"])] == ["en", "de"]
