"""What goes wrong with a row, a model or a limit, and what becomes of the batch."""

from __future__ import annotations

import time
from typing import Any

import pytest

from apps.batches.services import batch_create_from_items, chunks, create
from apps.batches.tables.types import TableError
from apps.core.errors import Busy, Conflict, Invalid
from tests.batches.calls import assert_each_once, batch_start, items_of, jobs_run, lines_of
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_text_that_breaks_the_task_takes_no_other_with_it(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    real = chunks.nlp_run

    def broken(**named: Any) -> Any:
        if any("number 13." in text for text in named["texts"]):
            raise ZeroDivisionError
        if any("number 27." in text for text in named["texts"]):
            raise Invalid("No.", code="refused")
        return real(**named)

    monkeypatch.setattr(chunks, "nlp_run", broken)
    batch_id = batch_start(api, items_of(40))
    jobs_run()
    failed = {line["row"]: line["error"]["code"] for line in lines_of(api, batch_id, "?label=~error")}
    assert failed == {13: "internal", 27: "refused"}
    assert len(lines_of(api, batch_id)) == 40


def test_a_batch_waits_for_room(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    real, refusals = chunks.nlp_run, [Busy(retry_after_s=0.01)] * 3

    def busy(**named: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return real(**named)

    monkeypatch.setattr(chunks, "nlp_run", busy)
    batch_id = batch_start(api, ["a text"])
    jobs_run()
    assert api.get(f"/jobs/{batch_id}").json()["status"] == "done"
    assert refusals == []


def test_a_chunk_lets_people_pass_but_not_for_ever(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    monkeypatch.setattr(chunks, "GIVE_WAY_S", 0.3)
    monkeypatch.setattr(chunks, "permits_in_use", lambda: looks.append(time.monotonic()) or 1)
    batch_id = batch_start(api, ["a text"])
    jobs_run()
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
    batch_id = batch_start(api, items_of(20))
    jobs_run()
    info = api.get(f"/jobs/{batch_id}").json()
    assert (info["status"], info["error"]["code"]) == ("failed", "busy")
    monkeypatch.setattr(chunks, "nlp_run", real)
    assert api.post(f"/jobs/{batch_id}/resume").status_code == 200
    jobs_run()
    assert_each_once(tenant.id, batch_id, 20)


def test_more_rows_than_allowed_fail_the_batch(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        """What the box says of a table like that of test_batch_tables.test_more_rows_than_allowed_are_refused."""
        raise TableError("too_many_rows", "A batch may have at most 3 rows.")

    monkeypatch.setattr("apps.batches.services.reading.table_rows_boxed", refuse)
    batch_id = batch_start(api, ["a", "b", "c", "d"])
    jobs_run()
    info = api.get(f"/jobs/{batch_id}").json()
    assert (info["status"], info["error"]["code"], info["done"]) == ("failed", "too_many_rows", 0)


def test_an_organisation_has_a_bounded_number_of_open_batches(
    tenant: Any, api: ApiClient, other_api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(create, "MAX_OPEN", 2)
    batch_start(api, ["x"])
    batch_start(api, ["x"])
    refused = api.post("/jobs", {"task": "language", "items": ["x"]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "too_many_batches")
    assert refused.headers["Retry-After"]
    assert other_api.post("/jobs", {"task": "language", "items": ["x"]}).status_code == 202


def test_kept_rows_are_bounded(tenant: Any, api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_start(api, ["x", "y"])
    jobs_run()
    monkeypatch.setattr(create, "MAX_KEPT_ROWS", 2)
    with pytest.raises(Conflict, match="Delete"):
        batch_create_from_items(tenant_id=tenant.id, task="language", items=["x"])
