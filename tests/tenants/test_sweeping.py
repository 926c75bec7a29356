"""Stored files that no row means go after a day; everything else stays, above all what this version does not know."""

from __future__ import annotations

import ast
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import models
from structlog.testing import capture_logs

from apps.batches.models import Batch
from apps.core import stored_files
from apps.core.clock import now
from apps.core.ids import new_id
from apps.core.stored_files import file_owners, owner_of
from apps.core.tenancy import tenant_scope
from apps.knowledge.models import Source, SourceFile
from apps.tenants import sweeping
from apps.tenants.sweeping import files_sweep
from apps.translation.models import TranslatedDocument

pytestmark = pytest.mark.django_db
Keep = Callable[..., Path]
DAY_S = 86_400


@pytest.fixture(autouse=True)
def root(tmp_path: Path, settings: Any) -> Path:
    settings.MEDIA_ROOT = str(tmp_path / "files")
    return tmp_path / "files"


@pytest.fixture
def keep(root: Path) -> Keep:
    """keep(tenant, name, age_s=...) -> the path of a stored file that was written so long ago."""

    def run(tenant: Any, name: str, age_s: float = 2 * DAY_S) -> Path:
        default_storage.save(f"{tenant.id}/{name}", ContentFile(b"words", name="file"))
        path = root / str(tenant.id) / name
        os.utime(path, (time.time() - age_s,) * 2)
        return path

    return run


def _source_file(tenant: Any, name: str) -> None:
    with tenant_scope(tenant.id):
        source = Source.objects.create(kind="file", name="a", collection="default")
        SourceFile.objects.create(
            source=source, name="a", storage_name=f"{tenant.id}/{name}", size_bytes=1, sha256="0" * 64
        )


def _document(tenant: Any) -> uuid.UUID:
    with tenant_scope(tenant.id):
        row = TranslatedDocument.objects.create(
            name="a.txt", format="txt", target="pt", size_bytes=1, expires_at=now(), storage_name="x"
        )
    return row.id


def _batch(tenant: Any) -> uuid.UUID:
    with tenant_scope(tenant.id):
        return Batch.objects.create(task="sentiment", name="a").id


def test_what_a_crash_left_goes_and_is_counted(tenant: Any, other_tenant: Any, keep: Keep) -> None:
    left = [
        keep(tenant, str(new_id())),
        keep(tenant, f"document-{new_id()}.result"),
        keep(tenant, f"batch-{new_id()}.rows"),
        keep(other_tenant, f"{new_id()}.{new_id().hex}.part"),
    ]
    with capture_logs() as logged:
        assert files_sweep() == {"removed": 4, "kept": 0, "foreign": 0, "refused": 0}
    assert [path.exists() for path in left] == [False] * 4
    told = {one["tenant_id"]: one["removed"] for one in logged if one["event"] == "files.swept"}
    assert told == {str(tenant.id): 3, str(other_tenant.id): 1}


def test_what_a_row_means_stays(tenant: Any, keep: Keep) -> None:
    source, document, batch = str(new_id()), _document(tenant), _batch(tenant)
    _source_file(tenant, source)
    kept = [
        keep(tenant, source),
        keep(tenant, f"document-{document}.source"),
        keep(tenant, f"document-{document}.result"),  # its job has not told the row yet
        *(keep(tenant, f"batch-{batch}.{kind}") for kind in ("upload", "rows", "topics")),
    ]
    assert files_sweep() == {"removed": 0, "kept": 6, "foreign": 0, "refused": 0}
    assert all(path.exists() for path in kept)


@pytest.mark.parametrize("age_s", [0, DAY_S - 60])
def test_what_is_younger_than_a_day_stays(tenant: Any, keep: Keep, age_s: float) -> None:
    """Its row may not be committed yet, or be of a version that runs beside this one."""
    path = keep(tenant, str(new_id()), age_s)
    assert files_sweep()["removed"] == 0
    assert path.exists()


@pytest.mark.parametrize(
    "name", ["recording-{id}.ogg", "{id}.backup", "notes.txt", "document-{id}.thumbnail", "batch-{id}", "{id}_a8Xk2pQ"]
)
def test_a_form_that_this_version_does_not_know_stays(tenant: Any, keep: Keep, name: str) -> None:
    path = keep(tenant, name.format(id=new_id()))
    assert files_sweep() == {"removed": 0, "kept": 0, "foreign": 1, "refused": 0}
    assert path.exists()


def test_a_form_that_two_claim_stays(tenant: Any, keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_files, "_owners", dict(stored_files._owners))
    stored_files.file_owner("recordings", form=stored_files.UUID)(lambda names: set())
    path = keep(tenant, str(new_id()))
    assert files_sweep()["foreign"] == 1
    assert path.exists()


def test_files_of_an_organisation_that_this_database_does_not_have_stay(tenant: Any, keep: Keep) -> None:
    class Elsewhere:
        id = new_id()

    path = keep(Elsewhere, str(new_id()))
    assert files_sweep()["removed"] == 0
    assert path.exists()


def test_another_organisations_row_means_none_of_ours(tenant: Any, other_tenant: Any, keep: Keep) -> None:
    name = str(new_id())
    _source_file(other_tenant, name)
    ours, theirs = keep(tenant, name), keep(other_tenant, name)
    files_sweep()
    assert (ours.exists(), theirs.exists()) == (False, True)


def test_folders_and_links_stay(tenant: Any, keep: Keep, root: Path, tmp_path: Path) -> None:
    keep(tenant, f"batch-{_batch(tenant)}.rows")
    target = tmp_path / "elsewhere"
    target.write_text("of others")
    (root / str(tenant.id) / str(new_id())).symlink_to(target)
    (root / str(tenant.id) / str(new_id())).mkdir()
    staged = root / ".backup-0" / str(tenant.id)
    staged.mkdir(parents=True)
    (staged / str(new_id())).write_text("x")
    assert files_sweep()["removed"] == 0
    assert len(list((root / str(tenant.id)).iterdir())) == 3
    assert len(list(staged.iterdir())) == 1


def test_a_run_removes_so_many_at_most(tenant: Any, keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "REMOVED_MAX", 2)
    for _ in range(5):
        keep(tenant, str(new_id()))
    assert [files_sweep()["removed"] for _ in range(4)] == [2, 2, 1, 0]


def test_a_run_ends_when_its_time_is_over(tenant: Any, other_tenant: Any, keep: Keep) -> None:
    path = keep(tenant, str(new_id()))
    assert files_sweep(run_s=-1)["removed"] == 0
    assert path.exists()


def test_where_most_files_seem_to_be_nobodys_none_goes(
    tenant: Any, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the rows were lost, or DATABASE_URL names the database of before."""
    monkeypatch.setattr(sweeping, "MANY", 3)
    paths = [keep(tenant, str(new_id())) for _ in range(4)]
    with capture_logs() as logged:
        assert files_sweep() == {"removed": 0, "kept": 0, "foreign": 0, "refused": 4}
    assert [one["log_level"] for one in logged if one["event"] == "files.sweep_refused"] == ["error"]
    assert all(path.exists() for path in paths)
    call_command("files_sweep", "--even-many")
    assert not any(path.exists() for path in paths)


def test_one_organisations_failure_keeps_no_other_from_it(
    tenant: Any, other_tenant: Any, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tenant, str(new_id()))
    path = keep(other_tenant, str(new_id()))
    meant = sweeping._meant

    def failing(tenant_id: uuid.UUID, names: set[str]) -> set[str]:
        if tenant_id == tenant.id:
            raise RuntimeError("a table that does not answer")
        return meant(tenant_id, names)

    monkeypatch.setattr(sweeping, "_meant", failing)
    assert files_sweep()["removed"] == 1
    assert not path.exists()


def test_the_sweep_runs_every_day() -> None:
    entry = settings.CELERY_BEAT_SCHEDULE["files-sweep"]
    assert entry["task"] == "apps.tenants.tasks.files_sweep_task"
    assert (entry["schedule"].hour, entry["schedule"].day_of_week) == ({3}, set(range(7)))


# -- every table and every place that stores is known -------------------------------------------------------------------
def test_every_app_that_stores_files_says_which_it_means() -> None:
    storing = {path.relative_to("apps").parts[0] for path in Path("apps").rglob("*.py") if _stores(path)}
    owning = {
        Path(owner.meant.__code__.co_filename).relative_to(Path("apps").resolve()).parts[0] for owner in file_owners()
    }
    assert storing == owning - {"core"}


def _stores(path: Path) -> bool:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    saves = [one for one in calls if isinstance(one, ast.Attribute) and one.attr == "save"]
    return any(isinstance(one.value, ast.Name) and one.value.id == "default_storage" for one in saves)


def test_no_model_has_files_that_the_registry_cannot_see() -> None:
    from django.apps import apps

    fields = [field for model in apps.get_models() for field in model._meta.local_fields]
    assert [str(field) for field in fields if isinstance(field, models.FileField)] == []


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("{id}", "knowledge"),
        ("document-{id}.source", "documents"),
        ("batch-{id}.upload", "batches"),
        ("batch-{id}.rows.{hex}.part", "parts"),
        ("{id}.{hex}.part", "parts"),
    ],
)
def test_each_form_has_one_owner(name: str, owner: str) -> None:
    found = owner_of(name.format(id=new_id(), hex=new_id().hex))
    assert found is not None
    assert found.name == owner
