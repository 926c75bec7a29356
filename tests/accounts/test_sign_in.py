"""Signing in: no open door, no hint who has an account, no endless guessing."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

PASSWORD = "a long password"


@pytest.fixture(autouse=True)
def _fresh_limits(db: None) -> None:
    cache.clear()


@pytest.fixture
def browser() -> Client:
    return Client(headers={"Host": "127.0.0.1"})


def _sign_in(browser: Client, email: str, password: str) -> Any:
    return browser.post("/accounts/login/", {"login": email, "password": password})


def _signed_in(browser: Client) -> bool:
    return browser.get("/api/v1/accounts/me").status_code == 200


def test_the_right_password_signs_in(browser: Client, member: Any) -> None:
    assert _sign_in(browser, "owner@acme.example", PASSWORD).status_code == 302
    assert _signed_in(browser)


def test_the_session_cookie_is_closed_to_scripts_and_other_sites(browser: Client, member: Any) -> None:
    cookie = _sign_in(browser, "owner@acme.example", PASSWORD).cookies["nlpsuite_session"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


def test_an_unknown_address_reads_like_a_wrong_password(browser: Client, member: Any) -> None:
    texts = [
        _sign_in(browser, email, "wrong password").context["form"].errors.as_json()
        for email in ("owner@acme.example", "nobody@acme.example")
    ]
    assert texts[0] == texts[1] != "{}"


def test_guessing_is_stopped_even_when_it_guesses_right(browser: Client, member: Any) -> None:
    for number in range(11):
        _sign_in(browser, "owner@acme.example", f"guess {number}")
    _sign_in(browser, "owner@acme.example", PASSWORD)
    assert not _signed_in(browser)


def test_strangers_cannot_sign_up(browser: Client) -> None:
    made = {"email": "x@x.example", "password1": PASSWORD, "password2": PASSWORD}
    assert browser.post("/accounts/signup/", made).status_code == 404
    assert _sign_in(browser, "x@x.example", PASSWORD).status_code != 302
    assert not _signed_in(browser)


def test_signing_out_ends_the_session(browser: Client, member: Any) -> None:
    _sign_in(browser, "owner@acme.example", PASSWORD)
    browser.post("/accounts/logout/")
    assert not _signed_in(browser)


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"]
)
def test_signing_in_leads_to_no_other_site(browser: Client, member: Any, target: str) -> None:
    response = browser.post(
        f"/accounts/login/?next={target}", {"login": "owner@acme.example", "password": PASSWORD, "next": target}
    )
    assert response["Location"] == "/inbox/"
