"""F5t: passwords cannot be guessed, and nobody is locked out by those who try."""

from __future__ import annotations

import re
from typing import Any

import pytest
import redis
from django.contrib.auth import hashers
from django.core import mail
from django.core.management import call_command
from django.test import Client
from django.utils.translation import trans_real

from apps.accounts.devices import COOKIE
from apps.accounts.services import member_create
from apps.accounts.services.sign_in import account_key, attempt_begin
from apps.core.errors import RateLimited
from tests.at_once import at_once

PASSWORD, EMAIL = "a long password", "owner@acme.example"


@pytest.fixture(autouse=True)
def _mail(settings: Any) -> None:
    settings.EMAIL_CONFIGURED = True


def browser(address: str = "198.51.100.1") -> Client:
    return Client(headers={"Host": "127.0.0.1"}, REMOTE_ADDR=address)


def sign_in(client: Client, email: str = EMAIL, password: str = PASSWORD) -> Any:
    return client.post("/accounts/login/", {"login": email, "password": password})


def failed(client: Client, times: int, email: str = EMAIL) -> None:
    for number in range(times):
        sign_in(client, email, f"guess {number}")


def errors(response: Any) -> str:
    return " ".join(response.context["form"].non_field_errors())


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were compared with a hash."""
    seen: list[str] = []
    kept = hashers.MD5PasswordHasher.encode

    def counting(self: Any, password: str, *args: Any, **kwargs: Any) -> str:
        seen.append(password)
        return kept(self, password, *args, **kwargs)

    monkeypatch.setattr(hashers.MD5PasswordHasher, "encode", counting)
    return seen


def known(client: Client) -> Client:
    """The browser, having signed in and out once."""
    assert sign_in(client).status_code == 302
    client.post("/accounts/logout/")
    assert client.cookies[COOKIE].value
    return client


def test_many_addresses_get_twenty_tries_an_hour_at_one_account(member: Any, evaluated: list[str]) -> None:
    for number in range(100):
        sign_in(browser(f"198.51.{number}.7"), EMAIL, f"guess {number}")
    assert len(set(evaluated)) == 20


def test_they_do_not_lock_out_a_device_that_has_signed_in_before(member: Any) -> None:
    """Twenty wrong passwords from many addresses used to lock the right one out for everybody."""
    mine = known(browser())
    for number in range(40):
        sign_in(browser(f"203.0.113.{number}"), EMAIL, "wrong")
    assert sign_in(browser("192.0.2.9")).status_code == 200
    assert sign_in(mine).status_code == 302


def test_a_known_device_is_known_at_any_address(member: Any) -> None:
    mine = known(browser())
    failed(browser("192.0.2.9"), 12)
    mine.defaults["REMOTE_ADDR"] = "192.0.2.9"
    assert sign_in(mine).status_code == 302


def test_a_known_device_does_not_guess_without_end(member: Any, evaluated: list[str]) -> None:
    mine = known(browser())
    evaluated.clear()
    failed(mine, 30)
    assert len(set(evaluated)) == 5


def test_one_address_gets_sixty_tries_over_all_accounts(db: None, evaluated: list[str]) -> None:
    for number in range(200):
        sign_in(browser(), f"person{number}@acme.example", "password1")
    assert len(evaluated) == 2 * 60  # two backends ask, for unknown accounts too


def test_addresses_of_one_ipv6_network_count_together(member: Any, evaluated: list[str]) -> None:
    for number in range(30):
        sign_in(browser(f"2001:db8:5:6::{number:x}"), EMAIL, f"guess {number}")
    assert len(set(evaluated)) == 5


def test_a_header_that_anybody_sends_makes_no_other_address(member: Any, evaluated: list[str]) -> None:
    client = browser()
    for number in range(30):
        client.post(
            "/accounts/login/",
            {"login": EMAIL, "password": f"guess {number}"},
            headers={"X-Forwarded-For": f"192.0.2.{number}", "X-Real-IP": f"192.0.2.{number}"},
        )
    assert len(set(evaluated)) == 5


def test_the_wait_grows_with_each_try(db: None) -> None:
    client = redis.Redis.from_url(_redis_url())
    waits = []
    for _ in range(9):
        key = attempt_begin(kind="sign_in", email=EMAIL, address="198.51.100.1").keys[0]
        seconds, micros = client.time()
        waits.append(round((float(client.hget(key, "until")) - seconds * 1000 - micros / 1000) / 1000))
        client.hset(key, "until", 0)  # the wait is over
    assert waits[:4] == [0, 0, 0, 0]
    assert waits[4:] == pytest.approx([15, 30, 60, 120, 240], abs=3)


def _redis_url() -> str:
    from django.conf import settings

    return str(settings.REDIS_URL)


def test_tries_at_the_same_moment_do_not_pass_together(db: None) -> None:
    def one() -> bool:
        try:
            attempt_begin(kind="sign_in", email=EMAIL, address="198.51.100.1")
        except RateLimited:
            return False
        return True

    assert sum(at_once([one] * 8)) == 5


@pytest.mark.parametrize(
    "spelling", ["OWNER@ACME.EXAMPLE", " owner@acme.example ", "Owner@acme.example", "ｏwner@acme.example"]
)
def test_another_spelling_is_no_other_account(spelling: str) -> None:
    assert account_key(spelling) == account_key(EMAIL)


def test_the_right_password_costs_nothing(member: Any) -> None:
    assert [sign_in(browser(f"198.51.{n}.7")).status_code for n in range(25)] == [302] * 25


@pytest.mark.parametrize("email", [EMAIL, "nobody@acme.example"])
def test_unknown_accounts_cost_and_say_the_same(member: Any, evaluated: list[str], email: str) -> None:
    client = browser()
    told = errors(sign_in(client, email, "wrong"))
    assert len(evaluated) == 2
    failed(client, 6, email)
    waiting = errors(sign_in(client, email, PASSWORD))
    assert re.fullmatch(r"Too many tries\. You can try again in 1?\d seconds\.", waiting)
    assert "not correct" in told


def test_the_page_says_how_long_to_wait_in_chinese(member: Any) -> None:
    call_command("compile_catalogs")
    trans_real._translations.clear()
    client = browser()
    client.cookies["django_language"] = "zh-hans"
    failed(client, 6)
    assert re.search(r"尝试次数过多。请在 1?\d 秒后重试。", sign_in(client).content.decode())


def test_a_long_wait_is_told_in_minutes(member: Any) -> None:
    for number in range(20):
        sign_in(browser(f"198.51.{number}.7"), EMAIL, "wrong")
    assert re.search(r"try again in (59|60) minutes", errors(sign_in(browser("192.0.2.1"))))


def test_the_cookie_of_a_device_is_closed_to_scripts(member: Any) -> None:
    cookie = sign_in(browser()).cookies[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/accounts/")
    assert EMAIL not in cookie.value
    assert str(member.id) not in cookie.value or cookie.value.count(":") == 2  # signed


def test_another_password_ends_what_was_known(member: Any) -> None:
    mine = known(browser())
    member.set_password("another long password")
    member.save()
    for number in range(25):
        sign_in(browser(f"203.0.113.{number}"), EMAIL, "wrong")
    assert sign_in(mine, EMAIL, "another long password").status_code == 200


def test_a_device_is_known_to_its_account_alone(member: Any, tenant: Any) -> None:
    member_create(tenant_id=tenant.id, email="two@acme.example", name="", role="agent", password=PASSWORD)
    mine = known(browser())
    for number in range(25):
        sign_in(browser(f"203.0.113.{number}"), "two@acme.example", "wrong")
    assert sign_in(mine, "two@acme.example").status_code == 200


def test_a_browser_keeps_the_accounts_it_knows(member: Any, tenant: Any) -> None:
    member_create(tenant_id=tenant.id, email="two@acme.example", name="", role="agent", password=PASSWORD)
    mine = known(browser())
    sign_in(mine, "two@acme.example")
    mine.post("/accounts/logout/")
    for number in range(25):
        sign_in(browser(f"203.0.113.{number}"), EMAIL, "wrong")
    assert sign_in(mine).status_code == 302


@pytest.mark.parametrize(
    "forge", [lambda v: v[:-2] + "xx", lambda v: "", lambda v: "x" * 300, lambda v: v.split(":")[0]]
)
def test_a_forged_device_is_unknown(member: Any, forge: Any) -> None:
    mine = known(browser())
    mine.cookies[COOKIE] = forge(mine.cookies[COOKIE].value)
    for number in range(25):
        sign_in(browser(f"203.0.113.{number}"), EMAIL, "wrong")
    assert sign_in(mine).status_code == 200


def test_without_the_store_nobody_gets_in(member: Any, monkeypatch: pytest.MonkeyPatch, evaluated: list[str]) -> None:
    nowhere = redis.Redis(unix_socket_path="/nonexistent/valkey.sock", retry=None)
    monkeypatch.setattr("apps.accounts.services.sign_in.redis_client", lambda: nowhere)
    assert errors(sign_in(browser())) == "This is not possible at the moment. Try again shortly."
    assert evaluated == []


# -- the other places that take a secret, or send one ----------------------------------------------------------------
def reset(client: Client, email: str = EMAIL) -> Any:
    return client.post("/accounts/password/reset/", {"email": email})


def test_a_mailbox_gets_a_few_messages_an_hour(member: Any) -> None:
    for number in range(20):
        reset(browser(f"198.51.{number}.7"))
    assert len(mail.outbox) == 6


def test_one_address_sends_a_bounded_number_of_messages(db: None) -> None:
    for number in range(60):
        reset(browser(), f"person{number}@elsewhere.example")
    assert len(mail.outbox) <= 30


def test_others_do_not_take_the_reset_from_a_known_device(member: Any) -> None:
    mine = known(browser())
    for number in range(20):
        reset(browser(f"198.51.{number}.7"))
    before = len(mail.outbox)
    assert reset(mine).status_code == 302
    assert len(mail.outbox) == before + 1


@pytest.mark.parametrize("email", [EMAIL, "nobody@acme.example"])
def test_a_refused_reset_says_the_same_of_every_account(member: Any, email: str) -> None:
    client = browser()
    answers = [reset(client, email) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [302, 302, 302, 200]
    assert "You can try again in" in answers[3].content.decode()


def test_the_link_of_a_message_is_a_way_in_while_others_try(member: Any) -> None:
    for number in range(25):
        sign_in(browser(f"203.0.113.{number}"), EMAIL, "wrong")
    client = browser("192.0.2.1")
    reset(client)
    link = re.search(r"https?://[^/]+(/accounts/password/reset/key/\S+)", str(mail.outbox[-1].body))
    assert link
    page = client.get(link.group(1), follow=True)
    chosen = {"password1": "quite another password", "password2": "quite another password"}
    client.post(page.redirect_chain[-1][0], chosen)
    assert client.get("/api/v1/accounts/me").status_code == 200
    client.post("/accounts/logout/")
    assert sign_in(client, EMAIL, "quite another password").status_code == 302


def test_an_open_session_does_not_find_the_password(member: Any, evaluated: list[str]) -> None:
    mine = browser()
    sign_in(mine)
    evaluated.clear()
    new = {"password1": "quite another password", "password2": "quite another password"}
    for number in range(20):
        mine.post("/accounts/password/change/", {"oldpassword": f"guess {number}", **new})
    assert len({password for password in evaluated if password.startswith("guess")}) == 5
