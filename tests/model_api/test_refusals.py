"""Who may call the model routes, how often, how many at once, and what every refusal looks like."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import OperationalError

from apps.accounts.services import api_key_create
from apps.core.clock import now
from apps.core.errors import AppError, Busy, DeadlineExceeded, Invalid, RateLimited, Unavailable
from apps.model_api.services import call_admit, call_settle
from apps.model_api.types import Admission
from apps.tenants.services import organization_settings_update
from tests.conftest import ApiClient
from tests.fakes import FakeModels
from tests.model_api.conftest import CHAT, EMBEDDING

CHAT_BODY = {"model": CHAT, "messages": [{"role": "user", "content": "Hi"}]}
ROUTES = [
    ("GET", "/v1/models"),
    ("GET", f"/v1/models/{CHAT}"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/embeddings"),
]


def openai_error(answer: Any) -> tuple[int, str, str]:
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return answer.status_code, error["type"], error["code"]


def tei_error(answer: Any) -> tuple[int, str]:
    assert set(answer.json()) == {"error", "error_type"}
    return answer.status_code, answer.json()["error_type"]


def limit(tenant: Any, **values: int) -> None:
    organization_settings_update(tenant_id=tenant.id, values=values, actor="test")


def permits(tenant: Any) -> int:
    return redis.Redis.from_url(settings.REDIS_URL).zcard(f"infer:tenant:{tenant.id}")


def used_today(tenant: Any) -> int:
    day = now().strftime("%Y%m%d")
    return int(redis.Redis.from_url(settings.REDIS_URL).get(f"t:{tenant.id}:quota:tokens:{day}") or 0)


# -- keys and scopes -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("method", "path"), ROUTES, ids=str)
def test_a_wrong_key_is_openais_401(db: None, method: str, path: str) -> None:
    answer = ApiClient("nls_wrong").request(method, path, None if method == "GET" else {})
    assert openai_error(answer) == (401, "invalid_request_error", "invalid_api_key")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_key_needs_the_scope(tenant: Any) -> None:
    narrow = ApiClient(api_key_create(tenant_id=tenant.id, name="k", scopes=["knowledge:read"])[1])
    assert openai_error(narrow.post("/v1/chat/completions", CHAT_BODY))[::2] == (403, "insufficient_permissions")
    assert tei_error(narrow.post("/tei/embed", {"inputs": "a"})) == (403, "forbidden")


def test_a_wrong_key_is_refused_before_its_body_is_read(db: None) -> None:
    answer = ApiClient("nls_wrong").post("/v1/chat/completions", {"nonsense": 1})
    assert answer.status_code == 401


# -- limits ----------------------------------------------------------------------------------------------------------
def test_the_rate_limit_of_the_organisation_holds_here_too(api: ApiClient, tenant: Any) -> None:
    limit(tenant, requests_per_minute=1)
    answers = [api.get("/v1/models") for _ in range(2)]
    assert answers[0].status_code == 200
    assert openai_error(answers[1]) == (429, "requests", "rate_limit_exceeded")
    assert int(answers[1].headers["Retry-After"]) >= 1
    assert tei_error(api.get("/tei/info")) == (429, "rate_limit")


def test_calls_at_once_are_bounded_by_organisation_and_refused_at_once(
    api: ApiClient, other_api: ApiClient, tenant: Any, models: FakeModels
) -> None:
    limit(tenant, max_concurrent_calls=1)
    held = call_admit(api.secret)
    answer = api.post("/v1/chat/completions", CHAT_BODY)
    assert openai_error(answer) == (429, "requests", "concurrency_limit")
    assert int(answer.headers["Retry-After"]) >= 1
    assert tei_error(api.post("/tei/embed", {"inputs": "a"})) == (429, "overloaded")
    assert api.get("/v1/models").status_code == 200
    assert other_api.post("/v1/chat/completions", CHAT_BODY).status_code == 200
    call_settle(held, tokens=0)
    assert api.post("/v1/chat/completions", CHAT_BODY).status_code == 200


def test_the_default_allows_the_64_at_once_that_are_promised(api: ApiClient, tenant: Any) -> None:
    admitted = [call_admit(api.secret) for _ in range(64)]
    assert len({one.permit for one in admitted}) == permits(tenant) == 64


def test_tokens_are_counted_and_a_used_up_day_is_refused(
    api: ApiClient, other_api: ApiClient, tenant: Any, models: FakeModels
) -> None:
    limit(tenant, tokens_per_day=10)
    api.post("/v1/chat/completions", CHAT_BODY)
    assert used_today(tenant) == 9
    api.post("/v1/embeddings", {"model": EMBEDDING, "input": "two words"})
    assert used_today(tenant) == 11
    answer = api.post("/v1/chat/completions", CHAT_BODY)
    assert openai_error(answer) == (429, "insufficient_quota", "insufficient_quota")
    assert 0 < int(answer.headers["Retry-After"]) <= 86_400
    assert tei_error(api.post("/tei/embed", {"inputs": "a"})) == (429, "rate_limit")
    assert other_api.post("/v1/chat/completions", CHAT_BODY).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", CHAT_BODY),
        ("/v1/chat/completions", {}),
        ("/v1/completions", {"model": CHAT, "prompt": "x"}),
        ("/v1/embeddings", {"model": EMBEDDING, "input": "x"}),
        ("/v1/embeddings", {}),
        ("/tei/embed", {"inputs": "x"}),
        ("/tei/embed", {}),
        ("/tei/predict", {"inputs": "x"}),
    ],
    ids=str,
)
def test_every_call_gives_its_permit_back(
    api: ApiClient, tenant: Any, models: FakeModels, path: str, body: dict[str, Any]
) -> None:
    api.post(path, body)
    assert permits(tenant) == 0


def test_an_error_of_ours_gives_the_permit_back(api: ApiClient, tenant: Any, models: FakeModels) -> None:
    models.steps = lambda request: [RuntimeError("secret detail")]
    answer = api.post("/v1/chat/completions", CHAT_BODY)
    assert openai_error(answer) == (500, "server_error", "internal")
    assert b"secret" not in answer.content
    assert permits(tenant) == 0


def test_without_its_store_nobody_is_let_through(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = redis.Redis(unix_socket_path="/nonexistent/valkey.sock", retry=None)
    monkeypatch.setattr("apps.usage.services.limits.redis_client", lambda: nowhere)
    answer = api.post("/v1/chat/completions", CHAT_BODY)
    assert openai_error(answer)[::2] == (503, "limiter_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1


# -- the engine's refusals -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("error", "expected", "waits"),
    [
        (Busy(retry_after_s=2), (429, "overloaded", "overloaded"), True),
        (RateLimited(retry_after_s=2), (429, "requests", "rate_limit_exceeded"), True),
        (Unavailable(), (503, "server_error", "unavailable"), True),
        (Unavailable(code="model_unavailable"), (503, "server_error", "model_unavailable"), True),
        (DeadlineExceeded(), (503, "server_error", "deadline_exceeded"), True),
        (OperationalError("gone"), (503, "server_error", "unavailable"), True),
        (
            Invalid("too long", code="prompt_too_long"),
            (400, "invalid_request_error", "context_length_exceeded"),
            False,
        ),
        (
            Invalid("no", code="unsupported_parameter", details={"parameter": "beams"}),
            (400, "invalid_request_error", "unsupported_parameter"),
            False,
        ),
        (AppError(), (500, "server_error", "internal"), False),
    ],
    ids=lambda value: repr(value)[:40],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_before_the_first_piece_is_a_status(
    api: ApiClient, models: FakeModels, error: Exception, expected: tuple[int, str, str], waits: bool, stream: bool
) -> None:
    models.steps = lambda request: [error]
    answer = api.post("/v1/chat/completions", {**CHAT_BODY, "stream": stream})
    assert openai_error(answer) == expected
    assert ("Retry-After" in answer.headers) is waits


def test_a_refusal_names_the_parameter(api: ApiClient, models: FakeModels) -> None:
    models.steps = lambda request: [Invalid("long", code="prompt_too_long")]
    assert api.post("/v1/chat/completions", CHAT_BODY).json()["error"]["param"] == "messages"
    assert api.post("/v1/chat/completions", {**CHAT_BODY, "stream": True}).json()["error"]["param"] == "messages"


def test_a_model_of_another_role_is_refused(api: ApiClient) -> None:
    chat = api.post("/v1/chat/completions", {**CHAT_BODY, "model": EMBEDDING})
    vectors = api.post("/v1/embeddings", {"model": CHAT, "input": "x"})
    assert [openai_error(answer)[::2] for answer in (chat, vectors)] == [(400, "model_role")] * 2
    assert tei_error(api.post("/tei/embed", {"inputs": "a", "model": CHAT})) == (424, "backend")


# -- bodies and routes -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"a": NaN}', b"\xff", b"[" * 100_000], ids=lambda b: b[:9]
)
def test_what_is_no_json_object_is_400(api: ApiClient, body: bytes) -> None:
    def post(path: str) -> Any:
        return api._client.post(path, body, content_type="application/json")

    assert openai_error(post("/v1/chat/completions"))[::2] == (400, "malformed")
    assert openai_error(post("/v1/embeddings"))[::2] == (400, "malformed")
    assert tei_error(post("/tei/embed")) == (400, "validation")


def test_a_large_body_is_413(api: ApiClient, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    assert openai_error(api.post("/v1/chat/completions", {"x": "y" * 2000}))[0] == 413
    assert tei_error(api.post("/tei/embed", {"inputs": "y" * 2000}))[0] == 413


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/v1/chat", "/v1/models/"])
def test_an_unknown_route_is_404_in_openais_shape(api: ApiClient, path: str) -> None:
    assert openai_error(api.get(path))[0] == 404
    assert openai_error(api.post(path))[0] in {404, 405}


def test_an_unknown_route_is_404_in_teis_shape(api: ApiClient) -> None:
    assert tei_error(api.post("/tei/nothing")) == (404, "not_found")


def test_a_wrong_method_is_405_and_says_which_are_right(api: ApiClient) -> None:
    answers = [api.get("/v1/chat/completions"), api.post("/v1/models"), api.get("/tei/embed"), api.post("/tei/info")]
    assert [answer.status_code for answer in answers] == [405] * 4
    assert [answer.headers["Allow"] for answer in answers] == ["POST", "GET", "POST", "GET"]


# -- the services ----------------------------------------------------------------------------------------------------
def test_an_admission_without_a_permit_counts_nothing(api: ApiClient, tenant: Any) -> None:
    assert call_admit(api.secret, permit=False) == Admission(tenant.id)
    assert permits(tenant) == 0


@pytest.mark.parametrize("path", ["/v1/a%0Ab", "/v1/models/a%0Ab", "/tei/%0A", "/libretranslate/a%0A%C2%85b"])
def test_an_address_with_a_line_break_is_refused_in_the_shape_of_its_routes(api: ApiClient, path: str) -> None:
    answer = api.request("GET", path)
    assert answer.status_code == 404
    assert "error" in answer.json()
