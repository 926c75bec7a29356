"""A stand-in for the encoder that needs no model, and helpers that add and read sources."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from apps.core.tenancy import tenant_scope
from apps.inference.catalogue import MINILM
from apps.inference.services import default_model
from apps.inference.types import EmbedResult
from apps.jobs.services import job_run
from apps.knowledge.lexis import terms
from apps.knowledge.models import Source
from apps.knowledge.selectors import source_get
from apps.knowledge.services import source_create_from_files, source_create_from_text
from apps.knowledge.types import SourceInfo

SUBJECTS = {
    "Pallets": "Pallets leave the yard every Tuesday before noon.",
    "Invoices": "Invoices are sent by post in the first week of the month.",
    "Parking": "Visitors park behind the green warehouse.",
    "Holidays": "The office is closed between Christmas and New Year.",
}
Choose = Callable[..., None]


class FakeEncoder:
    """Sums one random direction per word: texts that share words are near. Counts what it was asked for."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.priorities: set[str] = set()
        self.models: set[str] = set()

    @property
    def texts(self) -> list[str]:
        return [text for call in self.calls for text in call]

    def __call__(
        self,
        texts: Sequence[str],
        *,
        tenant_id: uuid.UUID,
        deadline_s: float = 10,
        priority: str = "live",
        model: str = "",
        **_: Any,
    ) -> EmbedResult:
        self.calls.append(list(texts))
        self.priorities.add(priority)
        self.models.add(model)
        return EmbedResult(np.stack([self._vector(text) for text in texts]).astype(np.float32))

    def _vector(self, text: str) -> Any:
        total = np.full(384, 1e-3)
        for term in terms(text):
            seed = int.from_bytes(hashlib.sha256(term.encode()).digest()[:4], "big")
            total = total + np.random.default_rng(seed).normal(size=384)
        return total / np.linalg.norm(total)


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> FakeEncoder:
    """The encoder of ingestion and search."""
    fake = FakeEncoder()
    monkeypatch.setattr("apps.knowledge.services.ingest.embed_texts", fake)
    monkeypatch.setattr("apps.knowledge.selectors.search.embed_texts", fake)
    return fake


@pytest.fixture(autouse=True)
def stored(settings: Any, tmp_path: Path) -> Path:
    """The folder of stored files."""
    settings.MEDIA_ROOT = tmp_path / "files"
    return tmp_path / "files"


@pytest.fixture(autouse=True)
def _one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that runs inside a test's transaction must not close its connection."""
    monkeypatch.setattr("apps.jobs.services.run.close_old_connections", lambda: None)


def run_job(tenant_id: uuid.UUID, source: SourceInfo) -> SourceInfo:
    """Run the source's job here and now and return its state."""
    with tenant_scope(tenant_id):
        job_id = Source.objects.get(id=source.id).job_id
    job_run(job_id)
    return source_get(tenant_id=tenant_id, source_id=source.id)


@pytest.fixture
def add_files() -> Callable[..., SourceInfo]:
    """add_files(tenant, {"a.html": b"..."}, collection=...) -> the source after its reading."""

    def add(tenant: Any, files: dict[str, bytes], collection: str | None = None) -> SourceInfo:
        uploads = [SimpleUploadedFile(name, data) for name, data in files.items()]
        return run_job(tenant.id, source_create_from_files(tenant_id=tenant.id, files=uploads, collection=collection))

    return add


@pytest.fixture
def add_text() -> Callable[..., SourceInfo]:
    """add_text(tenant, title, text, collection=...) -> the source after its reading."""

    def add(tenant: Any, title: str, text: str, collection: str | None = None) -> SourceInfo:
        source = source_create_from_text(tenant_id=tenant.id, title=title, text=text, collection=collection)
        return run_job(tenant.id, source)

    return add


@pytest.fixture
def choose(settings: Any, tmp_path: Path) -> Choose:
    """choose("turned") makes another encoder the installation's default; `without` takes the first one away."""

    def change(name: str, *, dim: int = 384, without: bool = False) -> None:
        entry = asdict(MINILM) | {"name": name, "revision": "1", "dim": dim}
        gone = asdict(MINILM) | {"revision": "gone"}
        path = tmp_path / f"catalogue-{uuid.uuid4().hex}.json"
        models = [entry, gone] if without else [entry]
        defaults = {"embedding": MINILM.name if name == "back" else name}
        path.write_text(json.dumps({"models": models, "defaults": defaults}))
        settings.INFERENCE_CATALOGUE = path
        assert default_model("embedding").is_default

    return change


@pytest.fixture
def subjects(tenant: Any, add_text: Callable[..., SourceInfo]) -> None:
    for title, text in SUBJECTS.items():
        add_text(tenant, title, text)
