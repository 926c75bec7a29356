"""Answering an invitation: who gets in, as whom, and what a token tells."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.utils.translation import get_language

from apps.accounts.models import Credential, Invitation, Membership, User
from apps.accounts.services import (
    account_verify,
    api_key_create,
    api_key_revoke,
    invitation_accept,
    invitation_create,
    member_create,
    member_remove,
)
from apps.core.clock import now
from apps.core.errors import AppError
from apps.core.tenancy import tenant_scope
from tests.accounts.conftest import PASSWORD, Browser, mailed_token, outcome, token_of
from tests.at_once import at_once
from tests.conftest import ApiClient

INVALID = (404, "invitation_invalid")
Invite = Callable[..., str]


def _elsewhere(tenant: Any, email: str = "ben@b.example") -> Any:
    """A proven account with a membership elsewhere."""
    return member_create(tenant_id=tenant.id, email=email, name="Ben", role="agent", password=PASSWORD)


def _roles(tenant: Any) -> list[tuple[str, str]]:
    return list(Membership.objects.filter(tenant_id=tenant.id).values_list("user__email", "role"))


# -- an address without an account -----------------------------------------------------------------------------------
def test_accepting_makes_an_account_with_the_persons_own_password(api: ApiClient, tenant: Any, invite: Invite) -> None:
    browser = Browser()
    answer = browser.accept(invite(api, role="analyst"), password="my own long one", name="Benjamin")
    assert answer.status_code == 200, answer.content
    assert answer.json() == {
        "status": "accepted",
        "organization": {"id": str(tenant.id), "name": "Acme"},
        "role": "analyst",
        "signed_in": True,
        "url": "/studio/",
    }
    assert _roles(tenant) == [("ben@b.example", "analyst")]
    assert User.objects.get(email="ben@b.example").name == "Benjamin"
    assert Browser().sign_in("ben@b.example", "my own long one")


def test_accepting_signs_in_with_the_organisation_active(api: ApiClient, tenant: Any, invite: Invite) -> None:
    browser = Browser()
    assert browser.accept(invite(api), password="my own long one").json()["url"] == "/inbox/"
    assert browser.me().json()["organization"]["id"] == str(tenant.id)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "password_required"),
        ({"password": ""}, "password_required"),
        ({"password": "short"}, "password_weak"),
        ({"password": "1234567890123"}, "password_weak"),
        ({"password": "ben@b.example"}, "password_weak"),
        ({"password": "x" * 201}, "invalid"),
        ({"password": "my own long one", "name": "x" * 121}, "invalid"),
        ({"password": "my own long one", "role": "owner"}, "invalid"),
    ],
)
def test_a_refused_password_leaves_the_invitation_open(
    api: ApiClient, tenant: Any, invite: Invite, body: dict[str, str], code: str
) -> None:
    token = invite(api)
    assert outcome(Browser().accept(token, **body)) == (422, code)
    assert _roles(tenant) == []
    assert Browser().accept(token, password="my own long one").status_code == 200


def test_a_link_that_was_shown_proves_nothing(api: ApiClient, invite: Invite) -> None:
    Browser().accept(invite(api), password="my own long one")
    assert User.objects.get(email="ben@b.example").email_verified_at is None


def test_a_link_that_was_mailed_proves_the_address(api: ApiClient, mail: list[Any]) -> None:
    answer = api.post("/accounts/members", {"email": "ben@b.example", "name": "Ben", "role": "agent"})
    assert sorted(answer.json()) == ["id", "status"]
    assert [message.to for message in mail] == [["ben@b.example"]]
    assert Browser().accept(mailed_token(mail), password="my own long one").status_code == 200
    assert User.objects.get(email="ben@b.example").email_verified_at is not None


def test_the_message_is_in_the_inviters_language(member: Any, mail: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.accounts.services.invitation_mail._", lambda text: f"[{get_language()}] {text}")
    body = {"email": "ben@b.example", "role": "agent"}
    Browser(member).post("/accounts/members", body, **{"Accept-Language": "zh-hans"})
    assert mail[0].subject == "[zh-hans] Acme invites you to nlpsuite"


# -- an address with an account --------------------------------------------------------------------------------------
@pytest.mark.parametrize("body", [{}, {"password": "a password of the inviter"}])
def test_an_account_accepts_by_its_own_session_only(
    api: ApiClient, tenant: Any, other_tenant: Any, invite: Invite, body: dict[str, str]
) -> None:
    account = _elsewhere(other_tenant)
    assert outcome(Browser().accept(invite(api), **body)) == (409, "sign_in_required")
    assert _roles(tenant) == []
    account.refresh_from_db()
    assert account.check_password(PASSWORD)


def test_its_own_session_accepts(api: ApiClient, tenant: Any, other_tenant: Any, invite: Invite) -> None:
    browser = Browser(_elsewhere(other_tenant))
    token = invite(api, role="admin")
    assert browser.me().json()["organization"]["id"] == str(other_tenant.id)
    assert browser.accept(token).json()["signed_in"] is True
    assert _roles(tenant) == [("ben@b.example", "admin")]
    assert browser.me().json()["organization"]["id"] == str(tenant.id)


def test_its_own_session_takes_no_password(api: ApiClient, tenant: Any, other_tenant: Any, invite: Invite) -> None:
    account = _elsewhere(other_tenant)
    assert outcome(Browser(account).accept(invite(api), password="another password")) == (422, "password_not_taken")
    account.refresh_from_db()
    assert account.check_password(PASSWORD)


@pytest.mark.parametrize("known", [True, False])
def test_somebody_else_who_is_signed_in_does_not_accept(
    api: ApiClient, tenant: Any, other_tenant: Any, invite: Invite, known: bool
) -> None:
    somebody = Browser(_elsewhere(other_tenant, "eve@b.example"))
    if known:
        _elsewhere(other_tenant)
    refused = somebody.accept(invite(api), password="my own long one")
    assert outcome(refused) == (409, "wrong_account")
    assert _roles(tenant) == []


def test_a_session_needs_the_csrf_token(api: ApiClient, tenant: Any, other_tenant: Any, invite: Invite) -> None:
    browser = Browser(_elsewhere(other_tenant), enforce_csrf_checks=True)
    assert outcome(browser.accept(invite(api))) == (403, "csrf_failed")
    assert _roles(tenant) == []


def test_another_site_signs_nobody_in(api: ApiClient, tenant: Any, invite: Invite) -> None:
    """A program may make the account without a CSRF token, but no session comes of it."""
    browser = Browser(enforce_csrf_checks=True)
    answer = browser.accept(invite(api), password="my own long one")
    assert (answer.status_code, answer.json()["signed_in"]) == (200, False)
    assert browser.me().status_code == 401


# -- an address that nobody proved -----------------------------------------------------------------------------------
@pytest.fixture
def squatted(other_api: ApiClient, invite: Invite) -> Any:
    """Another organisation's inviter has answered the shown link, with a password of its choice."""
    Browser().accept(invite(other_api), password="the inviters choice")
    return User.objects.get(email="ben@b.example")


def test_a_password_of_one_organisation_does_not_open_another(
    api: ApiClient, tenant: Any, squatted: Any, invite: Invite
) -> None:
    inviter = Browser()
    assert inviter.sign_in("ben@b.example", "the inviters choice")
    token = invite(api)
    assert outcome(inviter.accept(token)) == (409, "address_unproven")
    assert inviter.preview(token).json()["state"] == "unproven"
    assert _roles(tenant) == []


def test_nor_does_it_by_a_link_that_was_mailed(api: ApiClient, tenant: Any, squatted: Any, mail: list[Any]) -> None:
    api.post("/accounts/members", {"email": "ben@b.example", "name": "Ben", "role": "agent"})
    assert outcome(Browser(squatted).accept(mailed_token(mail))) == (409, "address_unproven")
    assert _roles(tenant) == []


def test_an_unproven_account_stays_so_when_its_organisation_lets_it_go(
    api: ApiClient, tenant: Any, other_tenant: Any, squatted: Any, invite: Invite
) -> None:
    member_remove(tenant_id=other_tenant.id, user_id=squatted.id, actor="t")
    assert outcome(Browser(squatted).accept(invite(api))) == (409, "address_unproven")


def test_no_command_lets_an_unproven_account_into_another_organisation(tenant: Any, squatted: Any) -> None:
    with pytest.raises(AppError, match="account_verify") as refused:
        _elsewhere(tenant)
    assert refused.value.code == "address_unproven"
    assert _roles(tenant) == []


def test_the_operators_word_lets_it_join(api: ApiClient, tenant: Any, squatted: Any, invite: Invite) -> None:
    token = invite(api)
    account_verify(email="ben@b.example", actor="t")
    assert Browser(squatted).accept(token).status_code == 200
    assert _roles(tenant) == [("ben@b.example", "agent")]


# -- tokens ----------------------------------------------------------------------------------------------------------
def _age(tenant: Any, **delta: float) -> None:
    with tenant_scope(tenant.id):
        Invitation.objects.update(expires_at=now() - timedelta(**delta))
        Credential.objects.filter(kind="invite").update(expires_at=now() - timedelta(**delta))


def _dead_tokens(api: ApiClient, tenant: Any, invite: Invite) -> list[str]:
    """Unknown, used, expired, revoked, replaced."""
    used, expired = invite(api, "used@b.example"), invite(api, "expired@b.example")
    Browser().accept(used, password="my own long one")
    _age(tenant, seconds=1)
    revoked, replaced = invite(api, "revoked@b.example"), invite(api, "replaced@b.example")
    ids = {row["email"]: row["id"] for row in api.get("/accounts/invitations").json()["items"]}
    assert api.delete(f"/accounts/invitations/{ids['revoked@b.example']}").status_code == 204
    assert api.post(f"/accounts/invitations/{ids['replaced@b.example']}/resend").status_code == 200
    return ["x" * 43, "", "é", used, expired, revoked, replaced]


def test_dead_tokens_look_the_same(api: ApiClient, tenant: Any, invite: Invite) -> None:
    tokens = _dead_tokens(api, tenant, invite)
    answers = [Browser().accept(token, password="my own long one") for token in tokens]
    answers += [Browser().preview(token) for token in tokens]
    shown = {(a.status_code, a.json()["error"]["code"], a.json()["error"]["message"]) for a in answers}
    assert [found[:2] for found in shown] == [INVALID]


def test_an_api_key_is_no_token(api: ApiClient) -> None:
    assert outcome(Browser().preview(api.secret)) == INVALID


@pytest.mark.parametrize("state", ["new", "sign_in", "wrong_account", "ready"])
def test_a_token_tells_what_has_to_be_done(api: ApiClient, other_tenant: Any, invite: Invite, state: str) -> None:
    account = None if state == "new" else _elsewhere(other_tenant)
    eve = _elsewhere(other_tenant, "eve@b.example")
    who = {"new": None, "sign_in": None, "wrong_account": eve, "ready": account}[state]
    assert Browser(who).preview(invite(api)).json() == {
        "organization": "Acme",
        "email": "ben@b.example",
        "name": "Ben",
        "role": "agent",
        "state": state,
    }


def test_sending_again_makes_a_new_link_that_lives_as_long(api: ApiClient, tenant: Any, invite: Invite) -> None:
    old = invite(api)
    (row,) = api.get("/accounts/invitations").json()["items"]
    _age(tenant, days=3)
    assert api.get("/accounts/invitations").json()["items"][0]["status"] == "expired"
    answer = api.post(f"/accounts/invitations/{row['id']}/resend").json()
    assert (answer["id"], answer["status"]) == (row["id"], "invited")
    assert api.get("/accounts/invitations").json()["items"][0]["status"] == "pending"
    assert outcome(Browser().preview(old)) == INVALID
    assert Browser().accept(token_of(answer["link"]), password="my own long one").status_code == 200


def test_an_answered_invitation_is_not_listed_sent_or_withdrawn(api: ApiClient, invite: Invite) -> None:
    token = invite(api)
    (row,) = api.get("/accounts/invitations").json()["items"]
    Browser().accept(token, password="my own long one")
    assert api.get("/accounts/invitations").json()["items"] == []
    assert api.post(f"/accounts/invitations/{row['id']}/resend").status_code == 404
    assert api.delete(f"/accounts/invitations/{row['id']}").status_code == 404


def test_an_expired_address_is_invited_anew(api: ApiClient, tenant: Any, invite: Invite) -> None:
    invite(api)
    _age(tenant, seconds=1)
    assert Browser().accept(invite(api), password="my own long one").status_code == 200


def test_it_lives_for_the_days_of_the_setting(api: ApiClient, tenant: Any, invite: Invite, settings: Any) -> None:
    settings.INVITATION_DAYS = 2
    invite(api)
    with tenant_scope(tenant.id):
        left = Invitation.objects.get().expires_at - now()
    assert timedelta(days=1, hours=23) < left <= timedelta(days=2)


def test_an_inviter_who_is_removed_leaves_no_way_back(tenant: Any, member: Any, invite: Invite) -> None:
    admin = member_create(tenant_id=tenant.id, email="ad@a.example", name="Ad", role="admin", password=None)
    made = Browser(admin).post("/accounts/members", {"email": "ben@b.example", "role": "admin"})
    member_remove(tenant_id=tenant.id, user_id=admin.id, actor="t")
    assert outcome(Browser().preview(token_of(made.json()["link"]))) == INVALID


def test_nor_does_a_key_that_is_revoked(tenant: Any, invite: Invite) -> None:
    key, secret = api_key_create(tenant_id=tenant.id, name="k")
    token = invite(ApiClient(secret))
    api_key_revoke(tenant_id=tenant.id, key_id=key.id, actor="t")
    assert outcome(Browser().preview(token)) == INVALID


@pytest.mark.django_db(transaction=True)
def test_one_of_many_answers_at_once_wins(tenant: Any) -> None:
    sent = invitation_create(tenant_id=tenant.id, email="ben@b.example", name="Ben", role="agent", actor="t")

    def answer(number: int) -> str:
        try:
            invitation_accept(token=token_of(sent.link or ""), user=None, password=f"my own long one {number}")
        except AppError as error:
            return error.code
        return "joined"

    assert sorted(at_once([partial(answer, number) for number in range(6)])) == ["invitation_invalid"] * 5 + ["joined"]
    assert _roles(tenant) == [("ben@b.example", "agent")]


@pytest.mark.django_db(transaction=True)
def test_two_organisations_at_once_make_one_account(tenant: Any, other_tenant: Any) -> None:
    sent = [
        invitation_create(tenant_id=t.id, email="ben@b.example", name="Ben", role="agent", actor="t")
        for t in (tenant, other_tenant)
    ]

    def answer(link: str) -> str:
        try:
            invitation_accept(token=token_of(link), user=None, password="my own long one")
        except AppError as error:
            return error.code
        return "joined"

    assert sorted(at_once([partial(answer, s.link or "") for s in sent])) == ["joined", "sign_in_required"]
    assert User.objects.filter(email="ben@b.example").count() == 1


# -- bounds ----------------------------------------------------------------------------------------------------------
def test_unanswered_invitations_are_bounded(api: ApiClient, invite: Invite, settings: Any) -> None:
    settings.INVITATIONS_MAX_PENDING = 2
    invite(api, "a@b.example")
    invite(api, "b@b.example")
    refused = api.post("/accounts/members", {"email": "c@b.example", "role": "agent"})
    assert outcome(refused) == (409, "invitations_full")


def test_members_are_bounded_when_inviting_and_when_joining(
    api: ApiClient, member: Any, invite: Invite, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = invite(api)
    monkeypatch.setattr("apps.accounts.services.invitations.MEMBERS_MAX", 1)
    assert outcome(api.post("/accounts/members", {"email": "c@b.example", "role": "agent"})) == (409, "members_full")
    assert outcome(Browser().accept(token, password="my own long one")) == (409, "members_full")
    assert not User.objects.filter(email="ben@b.example").exists()


def test_an_address_is_not_flooded(api: ApiClient, mail: list[Any], settings: Any) -> None:
    settings.INVITATION_MAILS_PER_ADDRESS_PER_DAY = 2
    body = {"email": "ben@b.example", "role": "agent"}
    first = api.post("/accounts/members", body).json()["id"]
    api.post(f"/accounts/invitations/{first}/resend")
    assert outcome(api.post(f"/accounts/invitations/{first}/resend")) == (429, "rate_limited")
    api.delete(f"/accounts/invitations/{first}")
    assert outcome(api.post("/accounts/members", body)) == (429, "rate_limited")
    assert len(mail) == 2


def test_an_organisation_does_not_flood_many(api: ApiClient, mail: list[Any], settings: Any) -> None:
    settings.INVITATION_MAILS_PER_DAY = 2
    answers = [api.post("/accounts/members", {"email": f"{n}@b.example", "role": "agent"}) for n in range(3)]
    assert [a.status_code for a in answers] == [201, 201, 429]
    assert len(mail) == 2


def test_tries_are_limited_by_network_address(db: None, settings: Any) -> None:
    settings.INVITATION_TRIES_PER_MINUTE = 3
    answers = [Browser().preview("x").status_code for _ in range(4)]
    assert answers == [404, 404, 404, 429]
    elsewhere = Browser(REMOTE_ADDR="192.0.2.1").preview("x")
    assert elsewhere.status_code == 404


# -- an inviter who may not invite any more --------------------------------------------------------------------------
def _deactivate(user: Any, tenant: Any) -> None:
    User.objects.filter(id=user.id).update(is_active=False)


def _lower(user: Any, tenant: Any) -> None:
    Membership.objects.filter(user=user, tenant_id=tenant.id).update(role="agent")


def _remove_past_the_service(user: Any, tenant: Any) -> None:
    """As one whose removal the invitation overtook: it was made by a request that had begun before."""
    Membership.objects.filter(user=user, tenant_id=tenant.id).delete()


GONE = [_deactivate, _lower, _remove_past_the_service]


@pytest.mark.parametrize("gone", GONE)
def test_an_inviter_who_may_not_invite_any_more_lets_nobody_in(
    tenant: Any, member: Any, invite: Invite, gone: Callable[..., None]
) -> None:
    token = invite(Browser(member))
    assert Browser().preview(token).status_code == 200
    gone(member, tenant)
    assert outcome(Browser().preview(token)) == INVALID
    assert outcome(Browser().accept(token, password="my own long one")) == INVALID
    assert "ben@b.example" not in dict(_roles(tenant))
    assert not User.objects.filter(email="ben@b.example").exists()


def test_a_lowered_inviter_still_lets_in_whom_they_may_invite(tenant: Any, member: Any, invite: Invite) -> None:
    owners, agents = invite(Browser(member), "o@b.example", "owner"), invite(Browser(member), "a@b.example", "agent")
    Membership.objects.filter(user=member, tenant_id=tenant.id).update(role="admin")
    assert outcome(Browser().accept(owners, password="my own long one")) == INVALID
    assert Browser().accept(agents, password="my own long one").status_code == 200


def test_an_orphaned_invitation_is_listed_as_expired_and_stands_when_another_sends_it(
    api: ApiClient, tenant: Any, member: Any, invite: Invite
) -> None:
    invite(Browser(member))
    _deactivate(member, tenant)
    (listed,) = api.get("/accounts/invitations").json()["items"]
    assert listed["status"] == "expired"
    link = api.post(f"/accounts/invitations/{listed['id']}/resend").json()["link"]
    assert Browser().accept(token_of(link), password="my own long one").status_code == 200


def test_an_orphaned_invitation_gives_way_to_a_new_one(
    api: ApiClient, tenant: Any, member: Any, invite: Invite
) -> None:
    old = invite(Browser(member))
    _deactivate(member, tenant)
    new = invite(api, role="analyst")
    assert outcome(Browser().accept(old, password="my own long one")) == INVALID
    assert Browser().accept(new, password="my own long one").json()["role"] == "analyst"
