"""Nobody grants, removes or hands on a role above their own: owner, then admin, then agent and analyst."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import pytest

from apps.accounts.models import Membership
from apps.accounts.services import api_key_create, invitation_create, member_create
from apps.accounts.types import ROLE_SCOPES, ROLES, SCOPES, Principal, role_rank
from apps.core.tenancy import tenant_scope
from tests.accounts.conftest import Browser, outcome, token_of
from tests.conftest import ApiClient

ACCOUNTS = ["accounts:read", "accounts:write"]
MAY = {
    ("owner", "owner"),
    ("owner", "admin"),
    ("owner", "agent"),
    ("owner", "analyst"),
    ("admin", "admin"),
    ("admin", "agent"),
    ("admin", "analyst"),
}
PAIRS = list(itertools.product(ROLES, ROLES))


def _person(tenant: Any, role: str) -> Any:
    email = f"{role}-{uuid.uuid4()}@acme.example"
    return member_create(tenant_id=tenant.id, email=email, name=role, role=role, password=None)


@pytest.mark.parametrize(("caller", "role"), PAIRS)
def test_who_may_grant_a_role(tenant: Any, caller: str, role: str) -> None:
    browser = Browser(_person(tenant, caller))
    answer = browser.post("/accounts/members", {"email": "ben@b.example", "role": role})
    assert (answer.status_code == 201) == ((caller, role) in MAY)
    assert answer.status_code in {201, 403}


@pytest.mark.parametrize(("caller", "role"), PAIRS)
def test_who_may_remove_a_member(tenant: Any, member: Any, caller: str, role: str) -> None:
    victim = _person(tenant, role)
    answer = Browser(_person(tenant, caller)).client.delete(f"/api/v1/accounts/members/{victim.id}")
    assert (answer.status_code == 204) == ((caller, role) in MAY)
    assert Membership.objects.filter(user=victim).exists() == ((caller, role) not in MAY)


@pytest.mark.parametrize(("caller", "role"), PAIRS)
def test_who_may_send_or_withdraw_an_invitation(tenant: Any, caller: str, role: str) -> None:
    """Sending again shows a link, by which whoever holds it gets the role."""
    made = invitation_create(tenant_id=tenant.id, email="ben@b.example", name="", role=role, actor="t")
    client = Browser(_person(tenant, caller)).client
    sent = client.post(f"/api/v1/accounts/invitations/{made.id}/resend")
    withdrawn = client.delete(f"/api/v1/accounts/invitations/{made.id}")
    assert (sent.status_code == 200) == ((caller, role) in MAY)
    assert (withdrawn.status_code == 204) == ((caller, role) in MAY)


def test_an_admin_does_not_become_owner_and_remove_the_first(tenant: Any, member: Any) -> None:
    admin = Browser(_person(tenant, "admin"))
    assert outcome(admin.post("/accounts/members", {"email": "x@b.example", "role": "owner"})) == (
        403,
        "rank_too_low",
    )
    removal = admin.client.delete(f"/api/v1/accounts/members/{member.id}")
    assert outcome(removal) == (403, "rank_too_low")


def test_an_admins_key_makes_no_owner_either(tenant: Any, member: Any) -> None:
    made = Browser(_person(tenant, "admin")).post("/accounts/api-keys", {"name": "all"})
    key = ApiClient(made.json()["secret"])
    assert outcome(key.post("/accounts/members", {"email": "x@b.example", "role": "owner"})) == (403, "rank_too_low")
    assert outcome(key.delete(f"/accounts/members/{member.id}")) == (403, "rank_too_low")
    assert key.post("/accounts/members", {"email": "x@b.example", "role": "admin"}).status_code == 201


def test_nor_does_an_owners_key(api: ApiClient, member: Any) -> None:
    """A key is a file on some machine: owners are made by people."""
    assert outcome(api.post("/accounts/members", {"email": "x@b.example", "role": "owner"})) == (403, "rank_too_low")


@pytest.mark.parametrize(
    ("scopes", "rank"),
    [
        (SCOPES, "admin"),
        (ACCOUNTS, ""),
        ([*ROLE_SCOPES["agent"], "accounts:write"], "agent"),
        ([*ROLE_SCOPES["analyst"], "accounts:write"], "analyst"),
        ([scope for scope in SCOPES if scope != "inference:use"], "agent"),
        ([], ""),
    ],
)
def test_a_keys_rank_follows_its_scopes(scopes: Any, rank: str) -> None:
    key = Principal(uuid.uuid4(), "api_key", uuid.uuid4(), "k", "", frozenset(scopes))
    assert key.rank == role_rank(rank)


def test_a_key_for_agents_handles_agents_only(tenant: Any, member: Any) -> None:
    scopes = [*ROLE_SCOPES["agent"], "accounts:write"]
    key = ApiClient(api_key_create(tenant_id=tenant.id, name="k", scopes=scopes)[1])
    answers = {role: key.post("/accounts/members", {"email": f"{role}@b.example", "role": role}) for role in ROLES}
    assert {role: answer.status_code for role, answer in answers.items()} == {
        "owner": 403,
        "admin": 403,
        "agent": 201,
        "analyst": 403,
    }


def test_a_narrow_key_removes_nobody(tenant: Any, member: Any) -> None:
    agent = _person(tenant, "agent")
    narrow = ApiClient(api_key_create(tenant_id=tenant.id, name="n", scopes=ACCOUNTS)[1])
    assert outcome(narrow.delete(f"/accounts/members/{agent.id}")) == (403, "scope_missing")


def test_a_narrow_key_revokes_no_wider_one(tenant: Any) -> None:
    wide, secret = api_key_create(tenant_id=tenant.id, name="w")
    narrow = ApiClient(api_key_create(tenant_id=tenant.id, name="n", scopes=ACCOUNTS)[1])
    assert outcome(narrow.delete(f"/accounts/api-keys/{wide.id}")) == (403, "scope_missing")
    assert ApiClient(secret).get("/accounts/me").status_code == 200


def test_no_route_changes_a_role_or_makes_an_operator(tenant: Any, member: Any) -> None:
    agent = _person(tenant, "agent")
    client = Browser(member).client
    for change in ({"role": "owner"}, {"is_staff": True}):
        client.patch(f"/api/v1/accounts/members/{agent.id}", change, content_type="application/json")
    agent.refresh_from_db()
    assert Membership.objects.get(user=agent).role == "agent"
    assert not agent.is_staff


def test_an_invitation_gives_its_own_role_whoever_accepts(tenant: Any) -> None:
    made = invitation_create(tenant_id=tenant.id, email="ben@b.example", name="", role="agent", actor="t")
    refused = Browser().accept(token_of(made.link or ""), password="my own long one", role="owner")
    assert refused.status_code == 422
    with tenant_scope(tenant.id):
        assert not Membership.objects.exists()
