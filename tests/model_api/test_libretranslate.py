"""LibreTranslate's routes: its shapes, its key field, its errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from apps.accounts.services import api_key_create
from apps.accounts.types import SCOPES
from apps.core.errors import Busy
from apps.model_api.libretranslate.urls import urlpatterns
from apps.tenants.services import organization_settings_update
from tests.conftest import ApiClient
from tests.fakes import FakeModels

pytestmark = pytest.mark.usefixtures("models")
ENGLISH, PORTUGUESE = "Your order was sent to the shop.", "O seu pedido foi enviado para a loja."
ASKED = {"q": ENGLISH, "source": "en", "target": "pt"}


@pytest.fixture
def client() -> Client:
    return Client(headers={"Host": "127.0.0.1"})


def post(client: Client, path: str, body: Any, api: ApiClient | None = None) -> Any:
    body = {**body, "api_key": api.secret} if api else body
    return client.post(f"/libretranslate/{path}", json.dumps(body), content_type="application/json")


def refused(answer: Any) -> tuple[int, str]:
    assert set(answer.json()) == {"error"}
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    return answer.status_code, answer.json()["error"]


# -- translate -------------------------------------------------------------------------------------------------------
def test_a_text_and_a_list_come_back_in_their_shape(client: Client, api: ApiClient) -> None:
    one = post(client, "translate", ASKED, api).json()
    many = post(client, "translate", {**ASKED, "q": [ENGLISH, "Hello."]}, api).json()
    assert one == {"translatedText": ENGLISH.upper()}
    assert many == {"translatedText": [ENGLISH.upper(), "HELLO."]}


def test_the_language_of_each_text_is_found_where_it_is_not_given(client: Client, api: ApiClient) -> None:
    body = {"q": [ENGLISH, PORTUGUESE, "123"], "source": "auto", "target": "pt"}
    found = post(client, "translate", body, api).json()
    assert found["translatedText"] == [ENGLISH.upper(), PORTUGUESE, "123"]
    assert [one["language"] for one in found["detectedLanguage"]] == ["en", "pt", "en"]
    assert [one["confidence"] > 50 for one in found["detectedLanguage"]] == [True, True, False]
    assert found["detectedLanguage"][2]["confidence"] == 0
    single = post(client, "translate", {**body, "q": ENGLISH}, api).json()
    assert single["detectedLanguage"]["language"] == "en"


def test_alternatives_are_lists_of_nothing(client: Client, api: ApiClient) -> None:
    assert post(client, "translate", {**ASKED, "alternatives": 3}, api).json()["alternatives"] == []
    many = post(client, "translate", {**ASKED, "q": ["a b", "c d"], "alternatives": 1}, api).json()
    assert many["alternatives"] == [[], []]


def test_html_keeps_its_tags(client: Client, api: ApiClient) -> None:
    body = {**ASKED, "q": "<p>my <b>shop</b><script>x()</script></p>", "format": "html"}
    assert post(client, "translate", body, api).json()["translatedText"] == "<p>MY <b>SHOP</b><script>x()</script></p>"


def test_forms_queries_and_the_header_are_read_as_well(client: Client, api: ApiClient) -> None:
    form = client.post("/libretranslate/translate", {**ASKED, "api_key": api.secret})
    query = client.post(f"/libretranslate/translate?source=en&target=pt&api_key={api.secret}", {"q": "hello you"})
    header = api.post("/libretranslate/translate", {**ASKED, "q": "hello you"})
    assert [one.json()["translatedText"] for one in (form, query, header)] == [
        ENGLISH.upper(),
        "HELLO YOU",
        "HELLO YOU",
    ]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"q": None}, "missing q"),
        ({"q": ""}, "missing q"),
        ({"q": []}, "missing q"),
        ({"q": 5}, "a text or a list"),
        ({"q": [1]}, "a text or a list"),
        ({"q": "x" * 200_001}, "exceeds text limit"),
        ({"q": ["x"] * 257}, "exceeds batch limit"),
        ({"source": None}, "missing source"),
        ({"target": ""}, "missing target"),
        ({"source": "xx"}, "xx is not supported"),
        ({"target": "auto"}, "auto is not supported"),
        ({"target": 5}, "missing target"),
        ({"format": "pdf"}, "pdf format is not supported"),
        ({"alternatives": -1}, "alternatives"),
        ({"alternatives": "x"}, "alternatives"),
        ({"alternatives": 10**9}, "alternatives"),
        ({"q": "Votre commande a été envoyée au magasin hier.", "source": "auto"}, "There are: en-pt, pt-en"),
    ],
)
def test_what_makes_no_sense_is_400(client: Client, api: ApiClient, changed: dict[str, Any], message: str) -> None:
    status, found = refused(post(client, "translate", {**ASKED, **changed}, api))
    assert status == 400
    assert message in found


@pytest.mark.parametrize("body", ["", "{", "[1]", '"x"', "[" * 100_000, '{"q": NaN}'])
def test_a_body_that_is_no_object_is_400(client: Client, body: str) -> None:
    answer = client.post("/libretranslate/translate", body, content_type="application/json")
    assert refused(answer)[0] == 400


# -- keys ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["translate", "detect"])
@pytest.mark.parametrize("key", ["wrong", "nls_unknown", "é", "x" * 5000])
def test_a_wrong_key_is_403(client: Client, db: None, path: str, key: str) -> None:
    assert refused(post(client, path, {**ASKED, "api_key": key})) == (403, "Invalid API key")


@pytest.mark.parametrize("path", ["translate", "detect"])
@pytest.mark.parametrize("key", [None, "", " ", 5, ["x"]])
def test_no_key_is_400(client: Client, path: str, key: Any) -> None:
    assert refused(post(client, path, {**ASKED, "api_key": key})) == (400, "An API key is needed: send it as api_key")


@pytest.mark.parametrize("path", ["translate", "detect"])
def test_a_session_is_no_key(client: Client, member: Any, path: str) -> None:
    client.force_login(member)
    assert refused(post(client, path, ASKED))[0] == 400


@pytest.mark.parametrize("path", ["translate", "detect"])
def test_every_other_scope_together_is_not_enough(client: Client, tenant: Any, path: str) -> None:
    others = [scope for scope in SCOPES if scope != "inference:use"]
    key = api_key_create(tenant_id=tenant.id, name="narrow", scopes=others)[1]
    assert refused(post(client, path, {**ASKED, "api_key": key}))[0] == 403


def test_every_route_is_known_here() -> None:
    found = {str(one.pattern) for one in urlpatterns}
    assert found == {
        "translate",
        "translate_file",
        "download_file/<str:token>",
        "detect",
        "languages",
        "health",
        "frontend/settings",
        "",
        "<anything:path>",
    }


# -- limits ----------------------------------------------------------------------------------------------------------
def limited(tenant: Any, **values: int) -> None:
    organization_settings_update(tenant_id=tenant.id, values=values, actor="test")


def test_more_than_the_organisation_may_ask_is_429(client: Client, tenant: Any, api: ApiClient) -> None:
    limited(tenant, requests_per_minute=2)
    answers = [post(client, "detect", {"q": ENGLISH}, api) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[2].headers["Retry-After"]) >= 1
    refused(answers[2])


def test_the_days_tokens_are_counted(client: Client, tenant: Any, api: ApiClient) -> None:
    limited(tenant, tokens_per_day=1)
    answers = [post(client, "translate", ASKED, api) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]


def test_busy_models_are_503_with_the_wait(
    client: Client, api: ApiClient, models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: Any, **__: Any) -> None:
        raise Busy(retry_after_s=3)

    monkeypatch.setattr("apps.translation.services.translate.translate_texts", busy)
    answer = post(client, "translate", ASKED, api)
    assert (refused(answer)[0], answer.headers["Retry-After"]) == (503, "3")


def test_each_organisation_asks_with_its_own_id(
    client: Client, tenant: Any, api: ApiClient, other_api: ApiClient, models: FakeModels
) -> None:
    post(client, "translate", ASKED, api)
    assert models.tenants == {tenant.id}


# -- the rest --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "code"), [(ENGLISH, "en"), ("Meu pedido ainda nao chegou e quero um reembolso.", "pt")]
)
def test_detect_names_the_language(client: Client, api: ApiClient, text: str, code: str) -> None:
    (found,) = post(client, "detect", {"q": text}, api).json()
    assert found["language"] == code
    assert 50 < found["confidence"] <= 100


def test_detect_of_numbers_has_no_confidence(client: Client, api: ApiClient) -> None:
    assert post(client, "detect", {"q": "123"}, api).json() == [{"confidence": 0, "language": "en"}]


def test_languages_need_no_key_and_name_their_targets(client: Client) -> None:
    found = client.get("/libretranslate/languages").json()
    assert found == [
        {"code": "en", "name": "English", "targets": ["en", "pt"]},
        {"code": "pt", "name": "Portuguese", "targets": ["en", "pt"]},
    ]


def test_settings_and_health_are_told_without_a_key(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    found = client.get("/libretranslate/frontend/settings").json()
    assert (found["keyRequired"], found["charLimit"]) == (True, 200_000)
    monkeypatch.setattr("apps.model_api.libretranslate.views.engine_ready", lambda: ["chat"])
    assert client.get("/libretranslate/health").json() == {"status": "ok"}
    monkeypatch.setattr("apps.model_api.libretranslate.views.engine_ready", list)
    assert refused(client.get("/libretranslate/health"))[0] == 503


@pytest.mark.parametrize("path", ["translate", "detect", "languages"])
def test_a_preflight_is_answered(client: Client, path: str) -> None:
    answer = client.options(f"/libretranslate/{path}")
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (204, "*")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "translate", 405),
        ("post", "languages", 405),
        ("get", "nothing", 404),
        ("post", "suggest", 400),
        ("get", "", 404),
    ],
)
def test_other_routes_and_methods_are_refused_in_the_same_shape(
    client: Client, method: str, path: str, status: int
) -> None:
    assert refused(getattr(client, method)(f"/libretranslate/{path}"))[0] == status
