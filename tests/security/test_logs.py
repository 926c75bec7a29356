"""F6t: what a log says of a request opens nothing and names nobody."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import path

from apps.model_api.libretranslate.views import translate_file

CANARY = "cnry-5f2a91"
HOST = {"Host": "127.0.0.1"}


def _breaks(request: Any, token: str = "") -> HttpResponse:
    raise RuntimeError("broken")


urlpatterns = [path("broken/<str:token>", _breaks), path("broken", _breaks)]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the product's own handler writes, whatever else listens."""
    handler = next(
        one
        for one in logging.getLogger().handlers
        if isinstance(one.formatter, structlog.stdlib.ProcessorFormatter) and isinstance(one, logging.StreamHandler)
    )
    written = io.StringIO()
    before = handler.setStream(written)
    yield written
    handler.setStream(before)


REFUSED = [
    # path, method, headers, status
    (f"/no/such/page?token={CANARY}", "get", {}, 404),
    (f"/api/v1/accounts/me?key={CANARY}", "get", {}, 401),
    (f"/api/v1/no/route?email={CANARY}@x.example", "get", {}, 404),
    (f"/api/v1/accounts/me?x={CANARY}", "delete", {}, 405),
    (f"/widget/frame?token={CANARY}", "get", {}, 404),
    (f"/widget/frame?token={CANARY}", "post", {}, 405),
    (f"/knowledge/passage?p={CANARY}", "get", {}, 404),
    (f"/inbox/?next={CANARY}", "get", {"Host": "evil.example"}, 400),
    (f"/v1/models?api_key={CANARY}", "get", {}, 401),
    (f"/v1/no/such?api_key={CANARY}", "get", {}, 401),
    (f"/tei/embed?k={CANARY}", "get", {}, 405),
    (f"/libretranslate/translate?api_key={CANARY}", "post", {}, 403),
    (f"/libretranslate/download_file/{CANARY}", "get", {}, 404),
]


@pytest.mark.parametrize(("address", "method", "headers", "status"), REFUSED)
def test_a_refused_request_is_logged_without_its_secrets(
    db: None, log: io.StringIO, address: str, method: str, headers: dict[str, str], status: int
) -> None:
    client = Client(headers=HOST | headers, raise_request_exception=False)
    answer = getattr(client, method)(address)
    assert answer.status_code == status
    assert CANARY not in log.getvalue()


def test_a_refused_request_is_still_named(db: None, log: io.StringIO) -> None:
    Client(headers=HOST).get(f"/no/such/page?token={CANARY}")
    assert "GET /no/such/page" in log.getvalue()


@pytest.mark.parametrize("address", [f"/broken?x={CANARY}", f"/broken/{CANARY}"])
@pytest.mark.urls(__name__)
def test_an_error_of_ours_is_logged_without_them(db: None, log: io.StringIO, address: str) -> None:
    answer = Client(headers=HOST, raise_request_exception=False).get(address)
    assert answer.status_code == 500
    assert "broken" in log.getvalue()
    assert CANARY not in log.getvalue()


def test_the_page_that_led_to_a_forgery_is_not_quoted(db: None, log: io.StringIO) -> None:
    client = Client(headers=HOST, enforce_csrf_checks=True)
    origin = f"https://elsewhere.example/page?session={CANARY}"
    answer = client.post("/accounts/login/", {}, headers={"Referer": origin}, secure=True)
    assert answer.status_code == 403
    assert "Referer checking failed" in log.getvalue()
    assert CANARY not in log.getvalue()


def test_a_value_that_the_database_refuses_is_not_quoted(api: Any, log: io.StringIO) -> None:
    answer = api.patch("/accounts/settings", {"handoff_phrases": [f"{CANARY}\x00"]})
    assert answer.status_code == 422
    assert CANARY not in log.getvalue()


# -- the watch over the whole run ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "said", ["the key nls_" + "k" * 43 + " came", "signed in with a long password", "chose my own long one"]
)
def test_the_watch_over_all_tests_sees_a_secret(secrets_watch: Any, said: str) -> None:
    logging.getLogger("apps.accounts").info(said)
    structlog.get_logger("apps.accounts").warning("something", detail=said)
    assert len(secrets_watch.found) == 2
    secrets_watch.found.clear()


def test_the_watch_over_all_tests_leaves_the_rest_alone(secrets_watch: Any) -> None:
    logging.getLogger("apps.accounts").info("api_key.created nls_abcd")
    assert secrets_watch.found == []


# -- a foreign host where the answer names it ------------------------------------------------------------------------
@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "a b", "127.0.0.1.evil.example", "[::1", "-"])
def test_a_foreign_host_is_no_error_of_ours(db: None, host: str) -> None:
    """Behind the model routes' own handler, which has no middleware that would look at the host before."""
    answer = translate_file(RequestFactory().post("/libretranslate/translate_file", {"source": "en"}, HTTP_HOST=host))
    assert (answer.status_code, set(json.loads(answer.content))) == (400, {"error"})
    assert b"host" in answer.content


@pytest.mark.parametrize(
    "address", ["/", "/inbox/", "/accounts/login/", "/api/v1/accounts/me", "/widget/frame", "/widget.js", "/metrics"]
)
def test_pages_refuse_a_foreign_host(db: None, address: str) -> None:
    answer = Client(headers={"Host": "evil.example"}, raise_request_exception=False).get(address)
    assert answer.status_code == 400


# -- HSTS ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "False False"), ({"HSTS_INCLUDE_SUBDOMAINS": "1", "HSTS_PRELOAD": "true"}, "True True")],
)
def test_hsts_reaches_others_only_when_it_is_told_to(given: dict[str, str], expected: str) -> None:
    code = (
        "import django; django.setup(); from django.conf import settings as s; "
        "print(s.SECURE_HSTS_INCLUDE_SUBDOMAINS, s.SECURE_HSTS_PRELOAD)"
    )
    env = {**os.environ, "PUBLIC_URL": "https://support.example.com", "SECRET_KEY": "x" * 50, **given}
    told = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=settings.BASE_DIR, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == expected
