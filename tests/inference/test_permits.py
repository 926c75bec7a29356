"""Permits and cancellation: bounds that hold across processes and free themselves."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

import pytest
import redis

from apps.core.errors import Busy, Unavailable
from apps.inference.services import cancel_request, generation_permit, is_cancelled, stop_signal
from apps.inference.services.permits import permits_in_use


@pytest.fixture(autouse=True)
def _small_bound(settings: Any, valkey: redis.Redis) -> None:
    settings.INFERENCE_MAX_GENERATIONS = 2
    _held.clear()
    valkey.flushdb()


_held: list[Any] = []


def take(tenant_id: uuid.UUID, key: str, deadline_s: float = 10) -> Any:
    """Take a permit and keep it: a context manager that is collected leaves its block."""
    permit = generation_permit(tenant_id=tenant_id, key=key, deadline_s=deadline_s)
    permit.__enter__()
    _held.append(permit)
    return permit


def test_bound_is_busy_with_retry_after(tenant_id: uuid.UUID) -> None:
    take(tenant_id, "a"), take(tenant_id, "b")
    with pytest.raises(Busy) as caught:
        take(tenant_id, "c")
    assert caught.value.retry_after_s


def test_leaving_frees_the_permit_after_an_error_too(tenant_id: uuid.UUID) -> None:
    with pytest.raises(ValueError), generation_permit(tenant_id=tenant_id, key="a", deadline_s=10):  # noqa: PT012
        assert permits_in_use() == 1
        raise ValueError
    assert permits_in_use() == 0


def test_killed_holder_frees_its_permit_at_its_deadline(tenant_id: uuid.UUID) -> None:
    take(tenant_id, "killed", deadline_s=0.3), take(tenant_id, "alive")
    with pytest.raises(Busy):
        take(tenant_id, "next")
    time.sleep(0.35)
    take(tenant_id, "next")
    assert permits_in_use() == 2


def test_second_attempt_at_the_same_work_counts_once(tenant_id: uuid.UUID) -> None:
    take(tenant_id, "a"), take(tenant_id, "a"), take(tenant_id, "b")
    assert permits_in_use() == 2


def test_bound_is_the_installations_over_tenants(tenant_id: uuid.UUID) -> None:
    take(tenant_id, "a"), take(uuid.uuid4(), "a")
    with pytest.raises(Busy):
        take(uuid.uuid4(), "a")


def test_flush_frees_all(tenant_id: uuid.UUID, valkey: redis.Redis) -> None:
    held = [take(tenant_id, "a"), take(tenant_id, "b")]
    valkey.flushall()
    take(tenant_id, "c")
    for permit in held:
        permit.__exit__(None, None, None)
    assert permits_in_use() == 1


def test_bound_holds_under_a_rush(tenant_id: uuid.UUID) -> None:
    granted: list[int] = []

    def run(n: int) -> None:
        try:
            take(tenant_id, str(n))
        except Busy:
            return
        granted.append(n)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == 2


def test_without_redis_permits_are_unavailable(tenant_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = redis.Redis(unix_socket_path="/nonexistent/valkey.sock")
    monkeypatch.setattr("apps.inference.services.permits._acquire", lambda: nowhere.register_script("return 1"))
    with pytest.raises(Unavailable):
        take(tenant_id, "a")


def test_stop_signal_turns_true_within_200_ms(tenant_id: uuid.UUID) -> None:
    with stop_signal(tenant_id, "r") as stopped, stop_signal(tenant_id, "other") as other:
        assert not stopped()
        cancel_request(tenant_id, "r")
        time.sleep(0.2)
        assert stopped()
        assert not other()


def test_cancelling_before_the_work_starts_is_seen(tenant_id: uuid.UUID) -> None:
    cancel_request(tenant_id, "r")
    assert is_cancelled(tenant_id, "r")
    with stop_signal(tenant_id, "r") as stopped:
        time.sleep(0.2)
        assert stopped()


def test_another_tenant_cannot_cancel(tenant_id: uuid.UUID) -> None:
    with stop_signal(tenant_id, "r") as stopped:
        cancel_request(uuid.uuid4(), "r")
        time.sleep(0.2)
        assert not stopped()


def test_one_organisation_leaves_permits_for_others(settings: Any, tenant_id: uuid.UUID) -> None:
    settings.INFERENCE_MAX_GENERATIONS = 8
    for number in range(6):
        take(tenant_id, str(number))
    with pytest.raises(Busy):
        take(tenant_id, "7")
    other = uuid.uuid4()
    take(other, "a"), take(other, "b")
    assert permits_in_use() == 8
