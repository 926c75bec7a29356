"""Inviting and removing members over the API."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.access import access_principal_by_user
from apps.accounts.models import Credential, Invitation, Membership, User
from apps.accounts.services import member_create
from apps.core.errors import Unauthenticated
from apps.core.tenancy import tenant_scope
from tests.accounts.conftest import Browser, outcome, token_of

# Values, times and names of savepoints.
SHAPE = re.compile(r"'[^']*'|s\d+_x\d+")


def _invite(api: Any, **changes: Any) -> Any:
    return api.post("/accounts/members", {"email": "ben@acme.example", "name": "Ben", "role": "agent", **changes})


def test_inviting_answers_with_an_id_and_a_link_where_there_is_no_mail_server(api: Any, mailoutbox: Any) -> None:
    answer = _invite(api)
    assert answer.status_code == 201, answer.content
    assert sorted(answer.json()) == ["id", "link", "status"]
    assert answer.json()["status"] == "invited"
    assert mailoutbox == []


def test_the_token_is_in_the_fragment_and_kept_nowhere(api: Any, tenant: Any) -> None:
    link = _invite(api).json()["link"]
    path, _, token = link.partition("#")
    with tenant_scope(tenant.id):
        stored = str(list(Invitation.objects.values())) + str(list(Credential.objects.values()))
    assert path.endswith("/accounts/invitation/")
    assert len(token) >= 43
    assert token not in stored
    assert token not in api.get("/accounts/invitations").content.decode()


def test_inviting_makes_no_account_and_no_member(api: Any) -> None:
    _invite(api)
    assert not User.objects.filter(email="ben@acme.example").exists()
    assert not Membership.objects.exists()


@pytest.mark.parametrize("field", ["password", "is_staff", "id", "invited_by"])
def test_a_password_is_refused_like_any_unknown_field(api: Any, tenant: Any, field: str) -> None:
    assert outcome(_invite(api, **{field: "a long password"})) == (422, "invalid")
    with tenant_scope(tenant.id):
        assert not Invitation.objects.exists()


def test_inviting_tells_nothing_of_accounts_elsewhere(api: Any, other_tenant: Any) -> None:
    """Not that the address has one, not its id, not its name; and the same work is done."""
    foreign = member_create(
        tenant_id=other_tenant.id, email="ada@b.example", name="Ada", role="agent", password="the old password"
    )
    _invite(api, email="first@x.example")  # what is asked once per process is asked
    answers, statements = [], []
    for email in ("ada@b.example", "nobody@b.example"):
        with CaptureQueriesContext(connection) as queries:
            answers.append(_invite(api, email=email))
        statements.append([SHAPE.sub("", query["sql"]) for query in queries])
    assert [a.status_code for a in answers] == [201, 201]
    assert sorted(answers[0].json()) == sorted(answers[1].json())
    assert statements[0] == statements[1]
    assert [word for word in (str(foreign.id), "Ada") if word in answers[0].content.decode()] == []
    assert api.get("/accounts/members").json()["items"] == []


def test_a_pending_address_is_invited_once(api: Any) -> None:
    first = _invite(api).json()
    again = _invite(api, email="BEN@acme.example")
    assert outcome(again) == (409, "invitation_pending")
    assert again.json()["error"]["details"] == {"id": first["id"]}


def test_a_member_is_not_invited(api: Any, member: Any) -> None:
    assert outcome(_invite(api, email="OWNER@acme.example")) == (409, "member_exists")


def test_a_removed_member_may_do_nothing(api: Any, member: Any) -> None:
    token = token_of(_invite(api).json()["link"])
    browser = Browser()
    assert browser.accept(token, password="my own long one").status_code == 200
    ben = User.objects.get(email="ben@acme.example")
    assert api.delete(f"/accounts/members/{ben.id}").status_code == 204
    assert [m["email"] for m in api.get("/accounts/members").json()["items"]] == [member.email]
    assert browser.me().status_code == 401
    with pytest.raises(Unauthenticated):
        access_principal_by_user(ben)


def test_the_last_owner_stays(tenant: Any, member: Any) -> None:
    answer = Browser(member).client.delete(f"/api/v1/accounts/members/{member.id}")
    assert outcome(answer) == (409, "last_owner")


def test_a_renewed_identity_secret_ends_the_old_one(api: Any, inbox: Any) -> None:
    first = api.post(f"/conversations/inboxes/{inbox.id}/identity-secret")
    second = api.post(f"/conversations/inboxes/{inbox.id}/identity-secret")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["identity_secret"] != second.json()["identity_secret"]
