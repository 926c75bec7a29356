"""A batch's rows and the counts behind its charts go a part at a time, however many there are."""

from __future__ import annotations

from typing import Any

import pytest

from apps.batches.models import Batch, BatchCell, BatchRow
from apps.batches.services import batch_create_from_items, batch_delete, control
from apps.core.tenancy import tenant_scope
from apps.jobs.models import JobDispatch
from apps.jobs.services import job_run
from tests import fakes
from tests.deletions import deletions

pytestmark = pytest.mark.django_db(transaction=True)
PART = 3


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Any) -> None:
    fakes.install(monkeypatch, fakes.FakeModels())
    monkeypatch.setattr("apps.jobs.services.enqueue.broker_hint", lambda job_id, queue: None)
    settings.MEDIA_ROOT = str(tmp_path / "files")


def _next_job() -> bool:
    return job_run(JobDispatch.objects.get(status="queued").job_id)


def _rows(tenant: Any) -> tuple[int, int, int]:
    with tenant_scope(tenant.id):
        return Batch.objects.count(), BatchRow.objects.count(), BatchCell.objects.count()


def test_no_statement_takes_more_rows_or_counts_than_a_part_has(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [{"text": f"This is the English sentence number {n}.", "source": f"shop {n}"} for n in range(8)]
    made = batch_create_from_items(tenant_id=tenant.id, task="language", items=items, topics=False)
    _next_job()
    assert _rows(tenant) == (1, 8, 8)
    monkeypatch.setattr(control, "DELETE_ROWS", PART)
    batch_delete(tenant_id=tenant.id, batch_id=made.id)
    with deletions() as taken:
        _next_job()
    assert _rows(tenant) == (0, 0, 0)
    # Rows, then counts, in parts of three, three and two; then the batch.
    assert [count for count in taken if count] == [3, 3, 2, 3, 3, 2, 1]


def test_a_deletion_that_was_cut_short_goes_on_with_what_is_left(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"This is the English sentence number {n}." for n in range(8)]
    made = batch_create_from_items(tenant_id=tenant.id, task="language", items=texts, topics=False)
    _next_job()
    batch_delete(tenant_id=tenant.id, batch_id=made.id)
    monkeypatch.setattr(control, "DELETE_ROWS", PART)
    real, calls = control._rows_delete, []

    def dies(*given: Any) -> bool:
        calls.append(given)
        if len(calls) == 2:
            raise ConnectionError
        return real(*given)

    monkeypatch.setattr(control, "_rows_delete", dies)
    _next_job()
    assert _rows(tenant)[:2] == (1, 5)
    _next_job()
    assert _rows(tenant) == (0, 0, 0)
