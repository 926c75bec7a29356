"""Adding and removing members over the API."""

from __future__ import annotations

from typing import Any

from apps.accounts.access import access_principal_by_user
from apps.accounts.models import User
from apps.accounts.services import member_create


def _add(api: Any, **changes: str) -> Any:
    return api.post("/accounts/members", {"email": "ben@acme.example", "name": "Ben", "role": "agent", **changes})


def test_a_new_member_gets_a_password_that_signs_in(api: Any, tenant: Any) -> None:
    answer = _add(api)
    assert answer.status_code == 201, answer.content
    user = User.objects.get(email="ben@acme.example")
    assert user.check_password(answer.json()["password"])
    assert access_principal_by_user(user).tenant_id == tenant.id


def test_an_account_of_another_organisation_keeps_its_password(api: Any, other_tenant: Any) -> None:
    member_create(
        tenant_id=other_tenant.id, email="ben@acme.example", name="Ben", role="agent", password="the old password"
    )
    answer = _add(api, password="a password that is not taken")
    assert answer.status_code == 201
    assert answer.json()["password"] is None
    assert User.objects.get(email="ben@acme.example").check_password("the old password")


def test_a_member_is_added_once(api: Any) -> None:
    _add(api)
    again = _add(api)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "member_exists")


def test_a_weak_password_is_refused_and_leaves_nothing(api: Any) -> None:
    answer = _add(api, password="1234567890")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "password_weak")
    assert not User.objects.filter(email="ben@acme.example").exists()


def test_a_removed_member_may_do_nothing(api: Any, member: Any) -> None:
    added = _add(api).json()
    assert api.delete(f"/accounts/members/{added['id']}").status_code == 204
    listed = [m["email"] for m in api.get("/accounts/members").json()["items"]]
    assert listed == [member.email]


def test_the_last_owner_stays(api: Any, member: Any) -> None:
    answer = api.delete(f"/accounts/members/{member.id}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "last_owner")


def test_a_renewed_identity_secret_ends_the_old_one(api: Any, inbox: Any) -> None:
    first = api.post(f"/conversations/inboxes/{inbox.id}/identity-secret")
    second = api.post(f"/conversations/inboxes/{inbox.id}/identity-secret")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["identity_secret"] != second.json()["identity_secret"]
