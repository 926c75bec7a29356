"""The one place that says no."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
import redis

from apps.core.errors import RateLimited, Unavailable
from apps.tenants.services import organization_settings_update
from apps.usage.services import rate_check
from tests.at_once import at_once
from tests.conftest import ApiClient


def _allowed(count: int, **check: Any) -> int:
    """How many of `count` uses at one moment are allowed."""
    passed = 0
    for _ in range(count):
        try:
            rate_check(**check)
            passed += 1
        except RateLimited:
            pass
    return passed


def test_a_limit_holds_and_says_how_long_to_wait(db: None) -> None:
    check: dict[str, Any] = {"scope": uuid.uuid4(), "key": "k", "limit": 5, "window_s": 60}
    assert _allowed(9, **check) == 5
    with pytest.raises(RateLimited) as caught:
        rate_check(**check)
    assert 1 <= caught.value.retry_after_s <= 12


def test_a_burst_may_be_smaller_than_the_limit(db: None) -> None:
    assert _allowed(9, scope=uuid.uuid4(), key="k", limit=5, window_s=60, burst=2) == 2


def test_room_comes_back_with_time(db: None) -> None:
    check: dict[str, Any] = {"scope": uuid.uuid4(), "key": "k", "limit": 10, "window_s": 1}
    _allowed(20, **check)
    time.sleep(0.35)
    assert 2 <= _allowed(20, **check) <= 5


def test_scopes_and_keys_count_apart(db: None) -> None:
    first, second = uuid.uuid4(), uuid.uuid4()
    limit: dict[str, Any] = {"limit": 1, "window_s": 60}
    found = [_allowed(2, scope=scope, key=key, **limit) for scope in (first, second) for key in ("a", "b")]
    assert found == [1, 1, 1, 1]


def test_a_limit_holds_against_uses_at_the_same_moment(db: None) -> None:
    check: dict[str, Any] = {"scope": uuid.uuid4(), "key": "k", "limit": 10, "window_s": 60}
    assert sum(at_once([lambda: _allowed(5, **check)] * 8)) == 10


def test_the_api_answers_429_with_retry_after(api: ApiClient, tenant: Any) -> None:
    organization_settings_update(tenant_id=tenant.id, values={"requests_per_minute": 2}, actor="t")
    answers = [api.get("/accounts/me") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json()["error"]["code"] == "rate_limited"
    assert int(answers[2].headers["Retry-After"]) >= 1


def test_one_organisations_limit_is_not_anothers(api: ApiClient, other_api: ApiClient, tenant: Any) -> None:
    organization_settings_update(tenant_id=tenant.id, values={"requests_per_minute": 1}, actor="t")
    api.get("/accounts/me")
    assert (api.get("/accounts/me").status_code, other_api.get("/accounts/me").status_code) == (429, 200)


def test_without_its_store_the_limiter_lets_nobody_through(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """K5: an unlimited pass would be worse than a retry."""
    nowhere = redis.Redis(unix_socket_path="/nonexistent/valkey.sock", retry=None)
    monkeypatch.setattr("apps.usage.services.limits.redis_client", lambda: nowhere)
    answer = api.get("/accounts/me")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "limiter_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    with pytest.raises(Unavailable):
        rate_check(scope="x", key="k", limit=1, window_s=1)
