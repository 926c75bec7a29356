"""Cancelling a reading ends it within a moment, whatever it is waiting for."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.core.errors import Busy, Cancelled
from apps.core.tenancy import tenant_scope
from apps.core.threads import while_checking
from apps.inference.services import batches
from apps.jobs.services import job_cancel, job_get, job_run
from apps.knowledge.extract.box import BoxFile, extract_boxed
from apps.knowledge.models import Source
from apps.knowledge.services import source_create_from_text, source_create_from_url
from tests.at_once import at_once
from tests.knowledge.test_crawl import Site, site  # noqa: F401
from tests.knowledge.test_hostile import hostile_parser

# What is waited for here lasts longer than this by itself (20 s a request, 30 s a file, 120 s a call, 300 s a turn); leaving
# it takes a second. On a busy machine some more.
WELL_BEFORE_S = 14.0


def _cancelled_while(tenant: Any, source: Any, begun: threading.Event) -> tuple[str, float]:
    """Run the source's job, cancel it once `begun`; its end, and the seconds that it took to come."""
    with tenant_scope(tenant.id):
        job_id = Source.objects.get(id=source.id).job_id
    cancelled_at: list[float] = []
    ended_at: list[float] = []

    def run() -> None:
        job_run(job_id)
        ended_at.append(time.monotonic())

    def cancel() -> None:
        assert begun.wait(60)
        job_cancel(tenant_id=tenant.id, job_id=job_id)
        cancelled_at.append(time.monotonic())

    assert at_once([run, cancel]) == [None, None]
    return job_get(tenant_id=tenant.id, job_id=job_id).status, ended_at[0] - cancelled_at[0]


def test_a_page_that_does_not_come_is_not_waited_for(
    transactional_db: None,
    tenant: Any,
    site: Site,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, release = threading.Event(), threading.Event()

    class Slow(dict):  # type: ignore[type-arg]
        def get(self, path: Any, default: Any = None) -> Any:
            begun.set()
            release.wait(60)
            return default

    site.pages = Slow()
    source = source_create_from_url(tenant_id=tenant.id, url=site.base + "/")
    status, took = _cancelled_while(tenant, source, begun)
    release.set()
    assert (status, took < WELL_BEFORE_S) == ("cancelled", True)


def test_a_busy_encoder_is_not_waited_for(transactional_db: None, tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()

    def busy(*args: Any, **options: Any) -> Any:
        begun.set()
        raise Busy(retry_after_s=60)

    monkeypatch.setattr("apps.knowledge.services.ingest.embed_texts", busy)
    source = source_create_from_text(tenant_id=tenant.id, title="T", text="words")
    status, took = _cancelled_while(tenant, source, begun)
    assert (status, took < WELL_BEFORE_S) == ("cancelled", True)


def test_a_call_to_the_encoder_is_left(transactional_db: None, tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()

    def slow(*args: Any, should_stop: Callable[[], bool], **options: Any) -> Any:
        begun.set()
        give_up = time.monotonic() + 60
        while not should_stop() and time.monotonic() < give_up:
            time.sleep(0.05)
        raise Cancelled

    monkeypatch.setattr("apps.knowledge.services.ingest.embed_texts", slow)
    source = source_create_from_text(tenant_id=tenant.id, title="T", text="words")
    status, took = _cancelled_while(tenant, source, begun)
    assert (status, took < WELL_BEFORE_S) == ("cancelled", True)


def test_a_remote_call_is_left_and_cancelled_when_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers: without being told, it would last until its deadline."""
    cancelled: list[str] = []
    monkeypatch.setattr(batches, "local_engine", lambda: None)
    monkeypatch.setattr("apps.inference.services.rpc.current_app.send_task", lambda *_, **__: None)
    monkeypatch.setattr("apps.inference.services.rpc.cancel_request", lambda tenant_id, key: cancelled.append(key))
    asked: list[int] = []

    def should_stop() -> bool:
        asked.append(1)
        return len(asked) == 2

    with pytest.raises(Cancelled):
        batches.embed_texts(["x"], tenant_id=uuid.uuid4(), deadline_s=120, priority="batch", should_stop=should_stop)
    assert len(cancelled) == 1


def test_a_file_that_takes_long_is_left_and_its_process_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hostile_parser(monkeypatch, tmp_path, "import time\ndef attack(text, name=''):\n    time.sleep(60)\n")
    path = tmp_path / "a.txt"
    path.write_bytes(b"words")
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise Cancelled

    began = time.monotonic()
    with pytest.raises(Cancelled):
        list(extract_boxed([BoxFile(str(path), "a.txt")], check=check))
    assert time.monotonic() - began < WELL_BEFORE_S


def test_what_slow_work_gives_or_raises_comes_through() -> None:
    def fails() -> None:
        raise TimeoutError("its own")

    assert while_checking(lambda: 5, lambda: None) == 5
    with pytest.raises(TimeoutError, match="its own"):
        while_checking(fails, lambda: None)
