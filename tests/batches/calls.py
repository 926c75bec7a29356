"""Making batches through the API, running their jobs and reading their results."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.batches.models import Batch, BatchCell, BatchRow
from apps.core.tenancy import tenant_scope
from apps.jobs.models import JobDispatch
from apps.jobs.services import job_run
from tests.conftest import ApiClient


def jobs_run(most: int = 100) -> int:
    """Run jobs as they come until none waits; returns how many."""
    for count in range(most):
        waiting = JobDispatch.objects.filter(status="queued").order_by("next_attempt_at").first()
        if waiting is None:
            return count
        job_run(waiting.job_id)
    raise AssertionError("jobs do not end")


def batch_start(api: ApiClient, items: list[Any], **more: Any) -> str:
    response = api.post("/jobs", {"task": "language", "items": items, "topics": False, **more})
    assert response.status_code == 202, response.content
    return response.json()["id"]


def batch_upload(api: ApiClient, name: str, content: bytes, **fields: Any) -> Any:
    client = Client(headers={"Authorization": f"Bearer {api.secret}", "Host": "127.0.0.1"})
    form = {"task": "language", "topics": "false", "file": SimpleUploadedFile(name, content), **fields}
    return client.post("/api/v1/jobs", form)


def content_of(api: ApiClient, batch_id: str, query: str = "") -> bytes:
    response = api.get(f"/jobs/{batch_id}/results{query}")
    assert response.status_code == 200, response.content

    async def parts() -> list[bytes]:
        return [part async for part in response.streaming_content]

    return b"".join(asyncio.run(parts()))


def lines_of(api: ApiClient, batch_id: str, query: str = "") -> list[dict[str, Any]]:
    return [json.loads(line) for line in content_of(api, batch_id, query).splitlines()]


def items_of(count: int) -> list[dict[str, Any]]:
    return [
        {
            "text": f"This is sentence number {n}.",
            "id": str(n),
            "source": f"s{n % 3}",
            "time": f"2026-01-{1 + n % 20:02}",
        }
        for n in range(count)
    ]


def assert_each_once(tenant_id: uuid.UUID, batch_id: str, count: int) -> None:
    with tenant_scope(tenant_id):
        rows = list(
            BatchRow.objects.filter(batch_id=batch_id).order_by("position").values_list("position", "reference")
        )
        assert rows == [(n, str(n)) for n in range(count)]
        assert sum(BatchCell.objects.filter(batch_id=batch_id).values_list("rows", flat=True)) == count
        assert Batch.objects.get(id=batch_id).position == count
