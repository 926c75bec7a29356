"""Quotas by the day: counted after the work, refused before it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from apps.core.errors import RateLimited, Unavailable
from apps.usage.services import quota_add, quota_check
from tests.at_once import at_once

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, datetime]:
    """The time that quotas see, at first noon."""
    held = {"now": NOON}
    monkeypatch.setattr("apps.usage.services.quota.now", lambda: held["now"])
    return held


def refused(**check: Any) -> RateLimited | None:
    try:
        quota_check(**check)
    except RateLimited as error:
        return error
    return None


def test_a_quota_refuses_once_it_is_used_and_until_midnight(clock: dict[str, datetime]) -> None:
    check: dict[str, Any] = {"scope": uuid.uuid4(), "key": "tokens", "limit": 100}
    quota_add(scope=check["scope"], key="tokens", amount=99)
    assert refused(**check) is None
    quota_add(scope=check["scope"], key="tokens", amount=1)
    error = refused(**check)
    assert error is not None
    assert (error.code, error.retry_after_s) == ("quota_exceeded", 12 * 3600)
    clock["now"] = datetime(2026, 3, 2, 0, 0, 1, tzinfo=UTC)
    assert refused(**check) is None


def test_organisations_and_kinds_count_apart(clock: dict[str, datetime]) -> None:
    first, second = uuid.uuid4(), uuid.uuid4()
    quota_add(scope=first, key="tokens", amount=5)
    assert refused(scope=first, key="tokens", limit=5) is not None
    assert refused(scope=second, key="tokens", limit=5) is None
    assert refused(scope=first, key="pages", limit=5) is None


@pytest.mark.django_db
def test_uses_at_the_same_moment_are_all_counted(clock: dict[str, datetime]) -> None:
    scope = uuid.uuid4()
    assert at_once([lambda: quota_add(scope=scope, key="tokens", amount=3)] * 10) == [None] * 10
    assert refused(scope=scope, key="tokens", limit=31) is None
    assert refused(scope=scope, key="tokens", limit=30) is not None


@pytest.mark.parametrize("amount", [0, -5])
def test_nothing_is_never_counted(clock: dict[str, datetime], amount: int) -> None:
    scope = uuid.uuid4()
    quota_add(scope=scope, key="tokens", amount=amount)
    quota_add(scope=scope, key="tokens", amount=1)
    assert refused(scope=scope, key="tokens", limit=1) is not None


def test_without_its_store_a_quota_lets_nobody_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """K5: what cannot be counted is not begun; what is done is not undone."""
    nowhere = redis.Redis(unix_socket_path="/nonexistent/valkey.sock", retry=None)
    monkeypatch.setattr("apps.usage.services.quota.redis_client", lambda: nowhere)
    with pytest.raises(Unavailable):
        quota_check(scope="x", key="tokens", limit=10)
    quota_add(scope="x", key="tokens", amount=1)
