"""Glossary, memory and documents over HTTP, and the job that translates a document."""

from __future__ import annotations

import io
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.core.clock import now
from apps.core.errors import Unavailable
from apps.core.redis import redis_client, tenant_key
from apps.core.tenancy import tenant_scope
from apps.jobs.models import Job
from apps.jobs.services import job_run
from apps.tenants.services import organization_settings_update
from apps.translation.models import TranslatedDocument
from apps.translation.services import documents, glossary, memory
from tests import fakes
from tests.conftest import ApiClient

BASE = "/analysis/translation"
TERM = {"source": "en", "target": "pt-BR", "term": "Order", "translation": "encomenda"}
TEXT = b"Your order is here.\n\nThank you {name}.\n"


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels())


# -- glossary --------------------------------------------------------------------------------------------------------
def test_a_term_is_kept_changed_listed_and_removed(api: ApiClient) -> None:
    made = api.post(f"{BASE}/glossary", TERM)
    changed = api.post(f"{BASE}/glossary", {**TERM, "term": " order ", "translation": "pedido"})
    listed = api.get(f"{BASE}/glossary?source=en&target=pt").json()["items"]
    assert (made.status_code, changed.status_code) == (201, 201)
    assert listed == [
        made.json()
        | {"source": "en", "target": "pt", "term": "order", "translation": "pedido", "case_sensitive": False}
    ]
    assert api.get(f"{BASE}/glossary?source=pt").json()["items"] == []
    assert api.delete(f"{BASE}/glossary/{listed[0]['id']}").status_code == 204
    assert api.delete(f"{BASE}/glossary/{listed[0]['id']}").status_code == 404


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"term": " "}, "glossary_term_invalid"),
        ({"translation": "x" * 201}, "glossary_term_invalid"),
        ({"source": "e"}, ""),
    ],
)
def test_a_term_that_makes_no_sense_is_refused(api: ApiClient, changed: dict[str, str], code: str) -> None:
    answer = api.post(f"{BASE}/glossary", {**TERM, **changed})
    assert answer.status_code == 422
    assert code in answer.json()["error"]["code"]


def test_a_glossary_has_a_bound(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glossary, "MAX_ENTRIES", 1)
    answers = [api.post(f"{BASE}/glossary", {**TERM, "term": term}) for term in ("a", "b", "A")]
    assert [answer.status_code for answer in answers] == [201, 422, 201]
    assert answers[1].json()["error"]["code"] == "glossary_full"


# -- memory ----------------------------------------------------------------------------------------------------------
def units(*texts: str) -> dict[str, Any]:
    return {"source": "en", "target": "pt", "units": [{"text": text, "translation": f"<{text}>"} for text in texts]}


def test_approved_texts_are_kept_found_and_forgotten(api: ApiClient, other_api: ApiClient) -> None:
    assert api.post(f"{BASE}/memory", units("One  day.", "Two.")).json() == {"added": 2}
    assert api.post(f"{BASE}/memory", units("One day.")).json() == {"added": 1}
    listed = api.get(f"{BASE}/memory?q=day").json()["items"]
    assert [(one["text"], one["translation"]) for one in listed] == [("One day.", "<One day.>")]
    body = {"text": "One day. Two. Three.", "source": "en", "target": "pt"}
    assert api.post("/nlp/translate", body).json()["text"] == "<One day.> <Two.> THREE."
    assert other_api.post("/nlp/translate", body).json()["text"] == "ONE DAY. TWO. THREE."
    assert api.delete(f"{BASE}/memory/{listed[0]['id']}").status_code == 204
    assert api.post("/nlp/translate", body).json()["text"] == "ONE DAY. <Two.> THREE."


@pytest.mark.parametrize("body", [units(), units(""), units("x" * 5_001), units(*["x"] * 1_001)])
def test_texts_that_cannot_be_kept_are_refused(api: ApiClient, body: dict[str, Any]) -> None:
    assert api.post(f"{BASE}/memory", body).status_code == 422


def test_a_memory_has_a_bound(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_UNITS", 2)
    assert api.post(f"{BASE}/memory", units("a", "b", "c")).json()["error"]["code"] == "memory_full"
    assert api.post(f"{BASE}/memory", units("a", "b")).status_code == 201


# -- documents -------------------------------------------------------------------------------------------------------
def upload(api: ApiClient, data: bytes = TEXT, name: str = "note.txt", **fields: str) -> Any:
    client = Client(headers={"Authorization": f"Bearer {api.secret}", "Host": "127.0.0.1"})
    form = {"file": SimpleUploadedFile(name, data), "target": "pt", **fields}
    return client.post(f"/api/v1{BASE}/documents", form)


def run_jobs(tenant: Any) -> None:
    with tenant_scope(tenant.id):
        found = list(Job.objects.filter(kind=documents.TRANSLATE, finished_at=None).values_list("id", flat=True))
    for job_id in found:
        job_run(job_id)


def content(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


@pytest.mark.django_db(transaction=True)
def test_a_document_comes_back_in_its_format(api: ApiClient, tenant: Any) -> None:
    made = upload(api)
    assert (made.status_code, made.json()["status"], made.json()["progress"]) == (202, "queued", 0.0)
    path = f"{BASE}/documents/{made.json()['id']}"
    assert api.get(f"{path}/file").json()["error"]["code"] == "document_not_ready"
    run_jobs(tenant)
    found = api.get(path).json()
    assert (found["status"], found["detected"], found["segments"], found["error"]) == ("ready", "en", 2, None)
    answer = api.get(f"{path}/file")
    assert content(answer) == b"YOUR ORDER IS HERE.\n\nTHANK YOU {name}.\n"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="note.pt.txt"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert [one["id"] for one in api.get(f"{BASE}/documents").json()["items"]] == [found["id"]]


@pytest.mark.parametrize(
    ("data", "name", "fields", "status", "code"),
    [
        (TEXT, "note.pdf", {}, 422, "unsupported_type"),
        (b"", "note.txt", {}, 422, "file_empty"),
        (TEXT, "note.txt", {"target": ""}, 422, "options_invalid"),
        (TEXT, "note.txt", {"source": "de"}, 422, "language_pair_unknown"),
        (b"x" * (10 * 1024 * 1024 + 1), "note.txt", {}, 413, "too_large"),
    ],
)
def test_a_document_that_cannot_be_translated_is_refused_at_once(
    api: ApiClient, data: bytes, name: str, fields: dict[str, str], status: int, code: str
) -> None:
    answer = upload(api, data, name, **fields)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (b"PK\x03\x04broken", "a.docx", "extract_failed"),
        (b"\x00\x01" * 500, "a.txt", "unsupported_type"),
        ("Votre commande a été envoyée au magasin hier.".encode(), "a.txt", "language_pair_unknown"),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_a_document_that_turns_out_to_be_no_good_says_why(
    api: ApiClient, tenant: Any, data: bytes, name: str, code: str
) -> None:
    made = upload(api, data, name).json()
    run_jobs(tenant)
    found = api.get(f"{BASE}/documents/{made['id']}").json()
    assert (found["status"], found["error"]["code"]) == ("failed", code)


@pytest.mark.django_db(transaction=True)
def test_models_that_are_away_are_asked_again_later(
    api: ApiClient, tenant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = upload(api).json()

    def away(*_: Any, **__: Any) -> None:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr("apps.translation.services.translate.translate_texts", away)
        run_jobs(tenant)
        assert api.get(f"{BASE}/documents/{made['id']}").json()["status"] == "running"
    run_jobs(tenant)
    assert api.get(f"{BASE}/documents/{made['id']}").json()["status"] == "ready"


@pytest.mark.django_db(transaction=True)
def test_a_removed_document_leaves_no_file(api: ApiClient, tenant: Any) -> None:
    made = upload(api).json()
    run_jobs(tenant)
    assert len(default_storage.listdir(str(tenant.id))[1]) == 2
    assert api.delete(f"{BASE}/documents/{made['id']}").status_code == 204
    assert default_storage.listdir(str(tenant.id))[1] == []
    assert api.get(f"{BASE}/documents/{made['id']}").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_documents_are_kept_for_a_week(api: ApiClient, tenant: Any) -> None:
    made = [upload(api).json()["id"] for _ in range(2)]
    with tenant_scope(tenant.id):
        TranslatedDocument.objects.filter(id=made[0]).update(expires_at=now() - timedelta(seconds=1))
    assert documents.documents_prune() == 1
    assert [one["id"] for one in api.get(f"{BASE}/documents").json()["items"]] == [made[1]]


def test_documents_have_a_bound(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_OPEN", 1)
    assert [upload(api).status_code for _ in range(2)] == [202, 409]


def test_a_name_is_shown_as_it_is_safe(api: ApiClient) -> None:
    made = upload(api, TEXT, "../../etc/<b>\u202e" + "x" * 300 + ".txt").json()
    assert len(made["name"]) <= 200
    assert "/" not in made["name"]
    assert made["name"].endswith(".txt")


def test_a_foreign_document_looks_missing(api: ApiClient, other_api: ApiClient) -> None:
    made = upload(api).json()
    paths = [f"{BASE}/documents/{made['id']}", f"{BASE}/documents/{uuid.uuid4()}"]
    assert [other_api.get(path).json()["error"]["code"] for path in paths] == ["document_not_found"] * 2


# -- the day's tokens --------------------------------------------------------------------------------------------------
def tokens_used(tenant: Any) -> int:
    return sum(
        int(redis_client().get(key)) for key in redis_client().keys(tenant_key(tenant.id, "quota", "tokens", "*"))
    )


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """One segment at a time goes to the model."""
    monkeypatch.setattr(documents, "_SLICE_CHARS", 1)


@pytest.mark.django_db(transaction=True)
def test_a_document_counts_against_the_days_tokens_of_its_organisation(
    api: ApiClient, tenant: Any, other_tenant: Any
) -> None:
    upload(api)
    assert tokens_used(tenant) == 0
    run_jobs(tenant)
    # The stand-in takes one token for each sentence.
    assert (tokens_used(tenant), tokens_used(other_tenant)) == (2, 0)


@pytest.mark.django_db(transaction=True)
def test_no_document_is_taken_when_the_days_tokens_are_used(api: ApiClient, other_api: ApiClient, tenant: Any) -> None:
    organization_settings_update(tenant_id=tenant.id, values={"tokens_per_day": 2}, actor="test")
    upload(api)
    run_jobs(tenant)
    refused = upload(api)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "quota_exceeded")
    assert 0 < int(refused.headers["Retry-After"]) <= 86_400
    assert len(default_storage.listdir(str(tenant.id))[1]) == 2
    assert upload(other_api).status_code == 202


@pytest.mark.usefixtures("small_slices")
@pytest.mark.django_db(transaction=True)
def test_a_document_stops_where_the_days_tokens_end_and_says_so(
    api: ApiClient, tenant: Any, models: fakes.FakeModels
) -> None:
    organization_settings_update(tenant_id=tenant.id, values={"tokens_per_day": 1}, actor="test")
    made = upload(api).json()
    run_jobs(tenant)
    found = api.get(f"{BASE}/documents/{made['id']}").json()
    assert (found["status"], found["error"]["code"]) == ("failed", "quota_exceeded")
    assert len(models.translated) == 1


# -- LibreTranslate's file route -------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_libretranslates_file_route_gives_an_address(
    api: ApiClient, tenant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.model_api.libretranslate.views.time.sleep", lambda _: run_jobs(tenant))
    client = Client(headers={"Host": "127.0.0.1"})
    form = {"source": "en", "target": "pt", "api_key": api.secret}
    made = client.post("/libretranslate/translate_file", {**form, "file": io.BytesIO(TEXT)})
    assert made.status_code == 400
    named = {**form, "file": SimpleUploadedFile("a.txt", TEXT)}
    url = client.post("/libretranslate/translate_file", named).json()["translatedFileUrl"]
    path = url.removeprefix("http://127.0.0.1")
    assert content(client.get(path)) == TEXT.upper().replace(b"{NAME}", b"{name}")
    assert tokens_used(tenant) == 2
    assert client.get(path[:-3] + "xyz").json() == {"error": "The link is not valid any more."}
    assert client.post("/libretranslate/translate_file", form).json() == {
        "error": "Invalid request: missing file parameter"
    }


def test_languages_are_listed(api: ApiClient) -> None:
    assert api.get(f"{BASE}/languages").json()["items"] == [
        {"code": "en", "name": "English", "targets": ["pt"]},
        {"code": "pt", "name": "Portuguese", "targets": ["en"]},
    ]
