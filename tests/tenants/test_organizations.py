"""Organisations: made, set, and deleted with everything that was theirs."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ObjectDoesNotExist

from apps.core.errors import Conflict, Invalid, NotFound
from apps.core.tenancy import TenantMismatch, TenantUnset, current_tenant_id, tenant_scope
from apps.events.models import AuditEntry
from apps.tenants.selectors import organization_get, organization_settings
from apps.tenants.services import organization_create, organization_delete, organization_settings_update
from apps.tenants.types import SETTINGS
from tests.conftest import ApiClient
from tests.matrix.rows import rows_of
from tests.matrix.world import world_create

GOOD: dict[str, list[Any]] = {
    "answer_threshold": [None, 0, 0.5, 1],
    "handoff_phrases": [[], ["refund"], ["x" * 100]],
    "handoff_after_abstentions": [1, 10],
    "max_active_replies": [1, 256],
    "requests_per_minute": [1, 1_000_000],
    "max_concurrent_calls": [1, 1024],
    "tokens_per_day": [1, 10**12],
    "batch_retention_days": [1, 3650],
    "moderation_thresholds": [{}, {"spam": 0.3, "threat": 1}],
}
BAD: dict[str, list[Any]] = {
    "answer_threshold": [-0.1, 1.1, "x", True, [0.5], float("nan")],
    "handoff_phrases": ["refund", [""], ["x" * 101], [7], ["x"] * 101, None, {"a": 1}],
    "handoff_after_abstentions": [0, 11, 1.5, None, True, "2"],
    "max_active_replies": [0, 257, None, True, "8"],
    "requests_per_minute": [0, 1_000_001, None, True, 10.5],
    "max_concurrent_calls": [0, 1025, None, True, "8"],
    "tokens_per_day": [0, 10**12 + 1, None, True, 0.5],
    "batch_retention_days": [0, 3651, None, True, 1.5],
    "moderation_thresholds": [None, [], {"spam": 2}, {"spam": None}, {"other": 0.5}],
}


def test_every_setting_is_tried_here() -> None:
    assert set(GOOD) == set(BAD) == set(SETTINGS)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_allowed_values_are_kept(tenant: Any, name: str) -> None:
    kept = []
    for value in GOOD[name]:
        organization_settings_update(tenant_id=tenant.id, values={name: value}, actor="t")
        kept.append(organization_settings(tenant_id=tenant.id)[name])
    assert kept == GOOD[name]


def _refused(tenant: Any, name: str, value: Any) -> bool:
    try:
        organization_settings_update(tenant_id=tenant.id, values={name: value}, actor="t")
    except Invalid as error:
        return error.code == "setting_invalid"
    return False


@pytest.mark.parametrize("name", sorted(BAD))
def test_other_values_are_refused(tenant: Any, name: str) -> None:
    assert [value for value in BAD[name] if not _refused(tenant, name, value)] == []
    assert organization_settings(tenant_id=tenant.id)[name] == SETTINGS[name].default


def test_one_bad_value_changes_nothing(tenant: Any) -> None:
    with pytest.raises(Invalid):
        organization_settings_update(tenant_id=tenant.id, values={"max_active_replies": 3, "nope": 1}, actor="t")
    assert organization_settings(tenant_id=tenant.id)["max_active_replies"] == SETTINGS["max_active_replies"].default


def test_settings_are_read_and_changed_over_the_api(api: ApiClient) -> None:
    changed = api.patch("/accounts/settings", {"answer_threshold": 0.25})
    shown = api.get("/accounts/settings").json()["answer_threshold"]
    assert (changed.status_code, shown["value"], shown["default"]) == (200, 0.25, None)


def test_settings_of_one_organisation_are_not_anothers(api: ApiClient, other_api: ApiClient) -> None:
    api.patch("/accounts/settings", {"max_active_replies": 3})
    assert other_api.get("/accounts/settings").json()["max_active_replies"]["value"] == 8


@pytest.mark.parametrize("name", ["", "  ", "x" * 121])
def test_an_organisation_needs_a_name(db: None, name: str) -> None:
    with pytest.raises(Invalid):
        organization_create(name=name)


def test_a_slug_is_taken_once(tenant: Any) -> None:
    with pytest.raises(Conflict):
        organization_create(name="Another", slug="acme")


def test_deleting_an_organisation_removes_all_that_was_its_own(db: None) -> None:
    """E10 in the database: nothing with its canary is left but the audit trail, which no application may remove."""
    gone, stays = world_create("B"), world_create("A")
    before = rows_of(stays.tenant_id)
    organization_delete(tenant_id=gone.tenant_id)
    left = {table: len(rows) for table, rows in rows_of(gone.tenant_id).items() if rows}
    assert set(left) <= {"events_auditentry"}
    assert rows_of(stays.tenant_id) == before
    assert ApiClient(gone.key).get("/accounts/me").status_code == 401
    with pytest.raises(NotFound):
        organization_get(tenant_id=gone.tenant_id)


# -- the scope -------------------------------------------------------------------------------------------------------
def test_a_scope_ends_with_its_block(tenant: Any) -> None:
    with tenant_scope(tenant.id):
        inside = current_tenant_id()
    assert (inside, current_tenant_id()) == (tenant.id, None)


def test_a_scope_ends_when_its_block_fails(tenant: Any) -> None:
    with pytest.raises(ObjectDoesNotExist), tenant_scope(tenant.id):
        raise ObjectDoesNotExist
    with pytest.raises(TenantUnset):
        AuditEntry.objects.count()


def test_no_scope_opens_inside_anothers(tenant: Any, other_tenant: Any) -> None:
    with pytest.raises(TenantMismatch), tenant_scope(tenant.id), tenant_scope(other_tenant.id):
        pass


def test_a_nested_scope_of_the_same_tenant_goes_on(tenant: Any) -> None:
    with tenant_scope(tenant.id):
        with tenant_scope(tenant.id):
            pass
        assert AuditEntry.objects.count() == 1
