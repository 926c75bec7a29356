"""API keys, members and roles: what they give, and how they end."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from apps.accounts.access import access_credential, access_principal_by_user
from apps.accounts.models import ApiKey, Credential, Membership, User
from apps.accounts.services import api_key_create, api_key_revoke, credential_create, member_create
from apps.accounts.types import ROLE_SCOPES, SCOPES
from apps.core.clock import now
from apps.core.errors import Invalid, NotFound, Unauthenticated
from apps.core.tenancy import tenant_scope
from tests.conftest import ApiClient


def _code(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


# -- keys ------------------------------------------------------------------------------------------------------------
def test_a_keys_secret_is_shown_once_and_kept_nowhere(api: ApiClient, tenant: Any) -> None:
    secret = api.post("/accounts/api-keys", {"name": "ci", "scopes": ["knowledge:read"]}).json()["secret"]
    with tenant_scope(tenant.id):
        stored = str(list(ApiKey.objects.values())) + str(list(Credential.objects.values()))
    assert ApiClient(secret).get("/accounts/me").status_code == 200
    assert secret not in stored
    assert secret not in api.get("/accounts/api-keys").content.decode()


def test_a_revoked_key_ends_at_once(api: ApiClient) -> None:
    made = api.post("/accounts/api-keys", {"name": "ci", "scopes": ["knowledge:read"]}).json()
    assert api.delete(f"/accounts/api-keys/{made['id']}").status_code == 204
    assert _code(ApiClient(made["secret"]).get("/accounts/me")) == (401, "api_key_invalid")


def test_a_key_is_revoked_once(tenant: Any) -> None:
    key, _ = api_key_create(tenant_id=tenant.id, name="k")
    api_key_revoke(tenant_id=tenant.id, key_id=key.id, actor="t")
    with pytest.raises(NotFound):
        api_key_revoke(tenant_id=tenant.id, key_id=key.id, actor="t")


def test_use_is_noted_at_most_once_a_minute(api: ApiClient, tenant: Any, django_assert_num_queries: Any) -> None:
    def used() -> Any:
        with tenant_scope(tenant.id):
            return ApiKey.objects.get().last_used_at

    api.get("/accounts/me")
    first = used()
    api.get("/accounts/me")
    assert first is not None
    assert used() == first


@pytest.mark.parametrize("scopes", [["everything"], ["knowledge:read", "x"], [""]])
def test_an_unknown_scope_is_refused(tenant: Any, scopes: list[str]) -> None:
    with pytest.raises(Invalid):
        api_key_create(tenant_id=tenant.id, name="k", scopes=scopes)


@pytest.mark.parametrize("name", ["", "  ", "x" * 81])
def test_a_key_needs_a_name(tenant: Any, name: str) -> None:
    with pytest.raises(Invalid):
        api_key_create(tenant_id=tenant.id, name=name)


def test_a_credential_has_a_kind_and_an_end(tenant: Any) -> None:
    def make(secret: str, **extra: Any) -> None:
        credential_create(tenant_id=tenant.id, kind="test", object_id=uuid.uuid4(), secret=secret, **extra)

    make("live")
    make("late", expires_at=now() - timedelta(seconds=1))
    make("soon", expires_at=now() + timedelta(minutes=1))
    found = [access_credential(secret, kind="test") is not None for secret in ("live", "late", "soon", "", "x" * 201)]
    assert found == [True, False, True, False, False]
    assert access_credential("live", kind="api_key") is None


# -- members ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"email": "x", "role": "agent"}, 422, "email_invalid"),
        ({"email": "n@acme.example", "role": "king"}, 422, "invalid"),
        ({"email": "n@acme.example", "role": "agent", "password": "a long password"}, 422, "invalid"),
        ({"email": "n@acme.example\x00", "role": "agent"}, 422, "text_invalid"),
        ({"email": "n@acme.example", "role": "agent", "name": "x\x00"}, 422, "text_invalid"),
        ({"email": "n@acme.example", "role": "agent", "name": "x" * 121}, 422, "invalid"),
        ({"email": "OWNER@acme.example", "role": "agent"}, 409, "member_exists"),
    ],
)
def test_a_bad_member_is_refused_with_its_code(
    api: ApiClient, member: Any, body: dict[str, str], status: int, code: str
) -> None:
    assert _code(api.post("/accounts/members", body)) == (status, code)


def test_a_narrow_key_makes_no_member_with_more_rights(tenant: Any) -> None:
    """Otherwise a key for accounts alone could let somebody in who may do everything."""
    narrow = ApiClient(api_key_create(tenant_id=tenant.id, name="n", scopes=["accounts:read", "accounts:write"])[1])
    refused = narrow.post("/accounts/members", {"email": "n@acme.example", "role": "owner"})
    assert _code(refused) == (403, "scope_missing")
    assert not User.objects.filter(email="n@acme.example").exists()


def test_a_user_without_membership_may_do_nothing(db: None) -> None:
    with pytest.raises(Unauthenticated):
        access_principal_by_user(User.objects.create_user(email="x@x.example"))


def test_a_disabled_user_may_do_nothing(member: Any) -> None:
    member.is_active = False
    with pytest.raises(Unauthenticated):
        access_principal_by_user(member)


def test_the_active_organisation_is_one_of_the_users_own(tenant: Any, other_tenant: Any, member: Any) -> None:
    second = access_principal_by_user(member, str(other_tenant.id)).tenant_id
    Membership.objects.create(user=member, tenant_id=other_tenant.id, role="analyst")
    principal = access_principal_by_user(member, str(other_tenant.id))
    assert second == tenant.id
    assert (principal.tenant_id, principal.scopes) == (other_tenant.id, ROLE_SCOPES["analyst"])


def test_every_role_has_known_scopes_only() -> None:
    assert {scope for scopes in ROLE_SCOPES.values() for scope in scopes} <= set(SCOPES)


def test_an_unknown_role_is_refused(tenant: Any) -> None:
    with pytest.raises(Invalid):
        member_create(tenant_id=tenant.id, email="x@acme.example", name="X", role="king", password=None)
