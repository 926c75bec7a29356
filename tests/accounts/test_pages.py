"""Of the sign-in library's pages only those that are wanted are open, and none answers with a server error (H7)."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.account import urls as library
from allauth.account.models import EmailAddress
from django.conf import settings as django_settings
from django.test import Client
from django.urls import URLPattern

from apps.accounts import urls as ours
from apps.accounts.models import User
from apps.accounts.services import member_create
from tests.accounts.conftest import PASSWORD, Browser

WANTED = {
    "account_login",
    "account_logout",
    "account_inactive",
    "account_change_password",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key_done",
    "account_reset_password_from_key",
}
# Paths with a value for each place: what the library's own patterns would take.
EXAMPLES = {
    "account_confirm_email": "confirm-email/MQ:1abc:xyz/",
    "account_reset_password_from_key": "password/reset/key/0123456789abcdef0123456789abcdef-abc-def/",
}
THEIRS = {str(p.name): EXAMPLES.get(str(p.name), str(p.pattern)) for p in library.urlpatterns}
CLOSED = sorted(set(THEIRS) - WANTED)


def _ask(client: Client, path: str) -> list[int]:
    return [call(f"/accounts/{path}").status_code for call in (client.get, client.post)]


def test_the_open_pages_are_a_fixed_list() -> None:
    """A route of a new version of the library is not among them, whatever it does."""
    names = {str(p.name) for p in ours.urlpatterns if isinstance(p, URLPattern)}
    assert names == WANTED | {"account_invitation"}
    assert CLOSED != []


@pytest.mark.parametrize("name", CLOSED)
def test_every_other_page_of_the_library_is_missing(name: str, member: Any) -> None:
    signed_in = Browser(member).client
    assert _ask(signed_in, THEIRS[name]) + _ask(Browser().client, THEIRS[name]) == [404] * 4


@pytest.mark.parametrize("name", sorted(WANTED))
def test_an_open_page_answers_everybody(name: str, member: Any) -> None:
    found = _ask(Browser().client, THEIRS[name]) + _ask(Browser(member).client, THEIRS[name])
    assert set(found) <= {200, 302, 405}
    assert found[0] in {200, 302}


def test_no_member_takes_an_address(member: Any) -> None:
    """It could be somebody else's: signing in and a forgotten password would then lead to this account."""
    client = Browser(member).client
    client.post("/accounts/email/", {"action_add": "", "email": "victim@b.example"})
    client.post("/accounts/email/", {"action_primary": "", "email": "victim@b.example"})
    assert not EmailAddress.objects.filter(email="victim@b.example").exists()
    member.refresh_from_db()
    assert member.email == "owner@acme.example"


def test_an_address_that_exists_elsewhere_is_not_taken_either(member: Any, other_tenant: Any) -> None:
    member_create(tenant_id=other_tenant.id, email="ada@b.example", name="A", role="agent", password=None)
    EmailAddress.objects.create(user=member, email="ada@b.example")
    answer = Browser(member).client.post("/accounts/email/", {"action_primary": "", "email": "ada@b.example"})
    assert answer.status_code == 404


HOSTILE = ["\x00", "\ud800", "é" * 5000, "²", "a@b.example\r\nBcc: x@x.example", "' OR 1=1 --", "%00", "[" * 3000]


@pytest.mark.parametrize("value", HOSTILE, ids=ascii)
@pytest.mark.parametrize("path", ["login/", "logout/", "password/change/", "password/reset/"])
def test_no_value_of_a_field_is_a_server_error(path: str, value: str, member: Any, mail: list[Any]) -> None:
    text = value.encode("utf-8", "replace").decode()
    fields = dict.fromkeys(("login", "email", "password", "oldpassword", "password1", "password2", "next"), text)
    found = [browser.client.post(f"/accounts/{path}", fields).status_code for browser in (Browser(), Browser(member))]
    found.append(Browser().client.get(f"/accounts/{path}", {"next": text}).status_code)
    assert [status for status in found if status >= 500] == []


@pytest.mark.parametrize(
    "key",
    ["x-y", "0-set-password", "zzz-abc", "1" * 32 + "-abc", "g" * 32 + "-abc", "1" * 33 + "-a-b", "%00-%00", "²-²"],
)
def test_no_key_of_a_reset_link_is_a_server_error(key: str, db: None) -> None:
    assert Browser().client.get(f"/accounts/password/reset/key/{key}/").status_code in {200, 302, 404}


def test_an_account_without_a_password_sets_none_by_its_session(member: Any) -> None:
    member.set_unusable_password()
    member.save()
    answer = Browser(member).client.get("/accounts/password/change/")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/password/reset/")


# -- a forgotten password --------------------------------------------------------------------------------------------
def _link(mail: list[Any]) -> str:
    return next(line for line in mail[-1].body.splitlines() if "/password/reset/key/" in line)


def _choose(link: str, password: str) -> Any:
    client = Browser().client
    path = "/" + link.split("/", 3)[3]
    form = client.get(path)["Location"]
    return client.post(form, {"password1": password, "password2": password})


@pytest.fixture
def unproven(tenant: Any, member: Any) -> User:
    """Somebody else may know the password of this account."""
    User.objects.filter(id=member.id).update(email_verified_at=None)
    return member


def _reset(email: str = "owner@acme.example", **headers: str) -> None:
    Client(headers={"Host": "127.0.0.1", **headers}).post("/accounts/password/reset/", {"email": email})


def test_a_reset_by_mail_proves_the_address_and_ends_what_others_knew(unproven: User, mail: list[Any]) -> None:
    other = Browser()
    assert other.sign_in("owner@acme.example", PASSWORD)
    _reset()
    assert [m.to for m in mail] == [["owner@acme.example"]]
    assert _choose(_link(mail), "my own long one").status_code == 302
    unproven.refresh_from_db()
    assert unproven.email_verified_at is not None
    assert other.me().status_code == 401
    assert not Browser().sign_in("owner@acme.example", PASSWORD)
    assert Browser().sign_in("owner@acme.example", "my own long one")


def test_changing_the_password_proves_nothing(unproven: User) -> None:
    browser = Browser(unproven)
    fields = {"oldpassword": PASSWORD, "password1": "my own long one", "password2": "my own long one"}
    assert browser.client.post("/accounts/password/change/", fields).status_code == 302
    unproven.refresh_from_db()
    assert unproven.check_password("my own long one")
    assert unproven.email_verified_at is None


def test_a_reset_goes_to_the_accounts_own_address_alone(unproven: User, mail: list[Any]) -> None:
    """An address that was added in an older version leads to nobody else's account."""
    EmailAddress.objects.create(user=unproven, email="victim@b.example", verified=True)
    _reset("victim@b.example")
    assert mail == []


def test_a_reset_link_leads_to_the_installations_own_address(member: Any, mail: list[Any], settings: Any) -> None:
    settings.BASE_URL = "https://support.example.com"
    _reset(Host="localhost")
    assert _link(mail).startswith("https://support.example.com/accounts/password/reset/key/")


def test_a_stranger_is_sent_nothing(db: None, mail: list[Any]) -> None:
    _reset("nobody@b.example")
    assert mail == []


def test_without_a_mail_server_no_link_is_promised(member: Any, mailoutbox: list[Any]) -> None:
    page = Browser().client.post("/accounts/password/reset/", {"email": "owner@acme.example"})
    assert page.status_code == 200
    assert "no mail server" in page.content.decode()
    assert mailoutbox == []


def test_no_message_is_printed_where_no_mail_server_is_set() -> None:
    """A link to a new password does not belong in a log."""
    from nlpsuite.settings.parts import auth

    assert django_settings.EMAIL_CONFIGURED is False
    assert auth.EMAIL_BACKEND == "django.core.mail.backends.dummy.EmailBackend"


# -- the page of an invitation ---------------------------------------------------------------------------------------
def test_the_page_is_the_same_for_every_token_and_holds_no_inline_script(member: Any) -> None:
    page = Browser().client.get("/accounts/invitation/?x=1")
    text = page.content.decode()
    assert page.status_code == 200
    assert "no-store" in page["Cache-Control"]
    assert "accounts/invitation.js" in text
    assert Browser(member).client.get("/accounts/invitation/").status_code == 200
    assert Browser().client.post("/accounts/invitation/").status_code == 405
