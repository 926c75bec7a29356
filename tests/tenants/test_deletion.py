"""Deleting an organisation: everything goes, a part at a time, and a deletion that was cut short goes on."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection

from apps.core.boot import exempt_tables
from apps.core.errors import NotFound
from apps.core.tenancy import tenant_scope
from apps.events.models import AuditEntry
from apps.jobs.services import job_enqueue
from apps.tenants import services
from apps.tenants.erasing import tables_to_erase
from apps.tenants.selectors import organization_by_slug
from apps.tenants.services import organization_delete
from tests.conftest import ApiClient
from tests.deletions import deletions
from tests.matrix.rows import rows_of
from tests.matrix.world import World, world_create

pytestmark = pytest.mark.django_db
KEPT = {"events_auditentry"}


@pytest.fixture(autouse=True)
def _files(settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = str(tmp_path / "files")


@pytest.fixture
def gone() -> World:
    """An organisation with one of everything, and seven jobs more."""
    world = world_create("B")
    with tenant_scope(world.tenant_id):
        for _ in range(7):
            job_enqueue(tenant_id=world.tenant_id, kind="knowledge.files_delete", payload={"names": []})
    return world


def _left(tenant_id: uuid.UUID) -> set[str]:
    return {table for table, rows in rows_of(tenant_id).items() if rows}


def test_no_statement_takes_more_rows_than_a_part_has(gone: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "ERASE_ROWS", 3)
    with deletions() as taken:
        organization_delete(tenant_id=gone.tenant_id)
    assert _left(gone.tenant_id) <= KEPT
    # Seven jobs and more need three parts at least, in two tables.
    assert (max(taken), taken.count(3) >= 4) == (3, True)


def test_when_the_organisation_goes_nothing_is_left_to_go_along(gone: World, monkeypatch: pytest.MonkeyPatch) -> None:
    left = []
    real = services._files_delete
    monkeypatch.setattr(services, "_files_delete", lambda folder: (left.append(_left(gone.tenant_id)), real(folder)))
    organization_delete(tenant_id=gone.tenant_id)
    assert left == [KEPT]


def test_rows_go_before_those_that_they_point_at(db: None) -> None:
    """Otherwise one of them would take thousands along in one statement."""
    order = tables_to_erase()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint WHERE contype = 'f'"
        )
        keys = [key for key in cursor.fetchall() if key[0] != key[1] and set(key) <= set(order)]
    assert len(keys) > 10
    assert [key for key in keys if order.index(key[0]) > order.index(key[1])] == []


def test_those_who_come_in_and_what_starts_go_first(db: None) -> None:
    order = tables_to_erase()
    doors = set(order) & exempt_tables()
    assert doors >= {"accounts_credential", "accounts_membership", "jobs_jobdispatch"}
    assert set(order[: len(doors)]) == doors


def test_a_deletion_that_was_cut_short_goes_on(gone: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = services.rows_erase, []

    def dies(**asked: Any) -> int:
        calls.append(asked["table"])
        if len(calls) == 12:
            raise ConnectionError
        return real(**asked)

    monkeypatch.setattr(services, "rows_erase", dies)
    with pytest.raises(ConnectionError):
        organization_delete(tenant_id=gone.tenant_id)
    assert ApiClient(gone.key).get("/accounts/me").status_code == 401
    assert _left(gone.tenant_id) - KEPT != set()
    organization_delete(tenant_id=gone.tenant_id)
    assert _left(gone.tenant_id) <= KEPT


def test_files_go_too_and_those_of_others_stay(tenant: Any, other_tenant: Any) -> None:
    folders = (tenant.id, tenant.id, other_tenant.id, other_tenant.id)
    names = [default_storage.save(f"{folder}/{number}", ContentFile(b"x")) for number, folder in enumerate(folders)]
    organization_delete(tenant_id=tenant.id)
    assert [default_storage.exists(name) for name in names] == [False, False, True, True]
    assert default_storage.exists(str(tenant.id)) is False


def test_who_deleted_it_is_kept(tenant: Any) -> None:
    organization_delete(tenant_id=tenant.id, actor="user:tester")
    with tenant_scope(tenant.id):
        rows = AuditEntry.objects.filter(action="organization.deleted")
        assert list(rows.values_list("actor", "target")) == [("user:tester", str(tenant.id))]


def test_one_that_is_not_there_is_not_found(db: None) -> None:
    with pytest.raises(NotFound):
        organization_delete(tenant_id=uuid.uuid4())


def test_the_command_deletes_only_when_it_is_told_twice(tenant: Any, capsys: Any) -> None:
    with pytest.raises(CommandError, match="--yes"):
        call_command("organization_delete", tenant.slug)
    assert organization_by_slug(slug=tenant.slug).id == tenant.id
    call_command("organization_delete", tenant.slug, yes=True)
    assert capsys.readouterr().out == f"{tenant.name} is deleted.\n"
    with pytest.raises(CommandError, match="no organisation"):
        call_command("organization_delete", tenant.slug, yes=True)
