"""Who counts as proven: by the operator's commands, and of the accounts from before."""

from __future__ import annotations

import json
from datetime import timedelta
from importlib import import_module
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from apps.accounts.models import Membership, User
from apps.accounts.services import account_verify, member_create
from apps.core.tenancy import tenant_scope
from apps.events.models import AuditEntry
from apps.events.services import audit_record
from apps.tenants.models import Organization
from tests.accounts.conftest import PASSWORD, Browser

MIGRATION = import_module("apps.accounts.migrations.0005_proven_addresses")


@pytest.fixture
def unproven(tenant: Any, member: Any) -> User:
    User.objects.filter(id=member.id).update(email_verified_at=None)
    return member


def _run(*args: str) -> str:
    out = StringIO()
    call_command("account_verify", *args, stdout=out)
    return out.getvalue()


# -- the command -----------------------------------------------------------------------------------------------------
def test_the_operator_proves_an_address(unproven: User) -> None:
    assert "is proven now" in _run("OWNER@acme.example")
    unproven.refresh_from_db()
    assert unproven.email_verified_at is not None
    assert unproven.check_password(PASSWORD)


def test_it_speaks_json_and_may_be_repeated(unproven: User) -> None:
    shown = [json.loads(_run("owner@acme.example", "--json")) for _ in range(2)]
    assert shown == [
        {"email": "owner@acme.example", "proven": True, "changed": True},
        {"email": "owner@acme.example", "proven": True, "changed": False},
    ]


def test_a_new_password_ends_what_others_knew(unproven: User) -> None:
    other = Browser()
    assert other.sign_in("owner@acme.example", PASSWORD)
    password = json.loads(_run("owner@acme.example", "--new-password", "--json"))["password"]
    assert other.me().status_code == 401
    assert not Browser().sign_in("owner@acme.example", PASSWORD)
    assert Browser().sign_in("owner@acme.example", password)


def test_an_unknown_address_has_an_exit_status_of_its_own(db: None) -> None:
    with pytest.raises(CommandError, match="no account") as refused:
        _run("nobody@acme.example")
    assert refused.value.returncode == 3


def test_it_lists_whom_nobody_proved(unproven: User, other_tenant: Any) -> None:
    member_create(tenant_id=other_tenant.id, email="b@b.example", name="B", role="agent", password=None)
    assert _run("--list") == "owner@acme.example\n"
    assert json.loads(_run("--list", "--json")) == {"unproven": ["owner@acme.example"]}
    _run("owner@acme.example")
    assert _run("--list") == "All are proven.\n"


def test_without_an_address_it_says_so(db: None) -> None:
    with pytest.raises(CommandError, match="Name an address") as refused:
        _run()
    assert refused.value.returncode == 2


def test_each_organisation_of_the_account_has_a_row(unproven: User, tenant: Any, other_tenant: Any) -> None:
    Membership.objects.create(user=unproven, tenant_id=other_tenant.id, role="agent")
    account_verify(email=unproven.email, actor="system:command")
    rows = []
    for organization in (tenant, other_tenant):
        with tenant_scope(organization.id):
            rows += AuditEntry.objects.filter(action="account.verified").values_list("actor", "target")
    assert rows == [("system:command", str(unproven.id))] * 2


# -- commands that make accounts -------------------------------------------------------------------------------------
def test_organization_create_makes_a_proven_owner(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWNER_PASSWORD", PASSWORD)
    call_command("organization_create", "New", "--owner-email", "ana@new.example", stdout=StringIO())
    assert User.objects.get(email="ana@new.example").email_verified_at is not None


def test_organization_create_leaves_nothing_behind_for_an_unproven_owner(
    unproven: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWNER_PASSWORD", PASSWORD)
    with pytest.raises(CommandError, match="account_verify"):
        call_command("organization_create", "New", "--owner-email", unproven.email, stdout=StringIO())
    assert not Organization.objects.filter(name="New").exists()


def test_an_unproven_account_becomes_no_operator(unproven: User) -> None:
    """The organisation that made it may know the password, and would see the whole installation."""
    with pytest.raises(CommandError, match="account_verify"):
        call_command("operator_set", unproven.email, stdout=StringIO())
    unproven.refresh_from_db()
    assert not unproven.is_operator


def test_an_unproven_operator_can_be_ended(unproven: User) -> None:
    User.objects.filter(id=unproven.id).update(is_staff=True)
    call_command("operator_set", unproven.email, "--revoke", stdout=StringIO())
    unproven.refresh_from_db()
    assert not unproven.is_operator


def test_a_superuser_is_proven(db: None) -> None:
    assert User.objects.create_superuser("root@new.example", PASSWORD).email_verified_at is not None


# -- accounts from before --------------------------------------------------------------------------------------------
def _from_before(tenant: Any, actor: str, **values: Any) -> User:
    user = User.objects.create_user(email=f"{actor or 'x'}@old.example".replace(":", "."), **values)
    with tenant_scope(tenant.id):
        Membership.objects.create(user=user, tenant_id=tenant.id, role="agent")
        audit_record(action="member.added", actor=actor, target=str(user.id))
    return user


def _proven(user: User) -> bool:
    MIGRATION.prove(apps, SimpleNamespace(connection=connection))
    user.refresh_from_db()
    return user.email_verified_at is not None


@pytest.mark.parametrize(
    ("actor", "proven"),
    [
        ("system:command", True),
        ("system:seed", True),
        ("user:01a22e7b-3c66-7649-9e41-630be05c4791", False),
        ("api_key:01a22e7b-3c66-7649-9e41-630be05c4791", False),
        ("", False),
    ],
)
def test_an_account_that_a_command_made_is_proven(tenant: Any, actor: str, proven: bool) -> None:
    assert _proven(_from_before(tenant, actor)) == proven


def test_an_operator_is_proven(tenant: Any) -> None:
    assert _proven(_from_before(tenant, "user:x", is_staff=True))


def test_an_account_that_an_organisation_made_before_a_command_added_it_is_not(tenant: Any, other_tenant: Any) -> None:
    """Its first organisation may know the password: that a command added it to another one proves nothing."""
    user = _from_before(tenant, "user:x")
    User.objects.filter(id=user.id).update(date_joined=user.date_joined - timedelta(days=3))
    with tenant_scope(other_tenant.id):
        Membership.objects.create(user=user, tenant_id=other_tenant.id, role="owner")
        audit_record(action="member.added", actor="system:command", target=str(user.id))
    assert not _proven(user)


def test_addresses_that_members_added_are_gone(tenant: Any, member: Any) -> None:
    EmailAddress.objects.create(user=member, email="OWNER@acme.example".lower(), primary=True)
    EmailAddress.objects.create(user=member, email="victim@b.example", verified=True)
    MIGRATION.addresses_drop(apps, None)
    assert list(EmailAddress.objects.values_list("email", flat=True)) == ["owner@acme.example"]


def test_a_member_that_a_command_made_joins_a_second_organisation(tenant: Any, other_tenant: Any) -> None:
    first = member_create(tenant_id=tenant.id, email="b@b.example", name="B", role="agent", password=PASSWORD)
    second = member_create(tenant_id=other_tenant.id, email="B@b.example", name="", role="admin", password="unused")
    assert first.id == second.id
    second.refresh_from_db()
    assert second.check_password(PASSWORD)
