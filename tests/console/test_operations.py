"""The operators' page: who sees it, and what its figures are."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from apps.accounts.models import User
from apps.accounts.services import member_create, operator_set
from apps.accounts.types import ROLES
from apps.core.clock import now
from apps.core.errors import Unavailable
from apps.inference import selectors
from apps.inference.selectors import STEP_S, operations_view, quantile, series_of
from apps.inference.services import start_failure_note
from apps.inference.services.stats import HISTORY_LENGTH, engine_histories, engine_history, stats_publish
from nlpsuite import demo
from tests.inference import workers

WORKER = "host:7"
CHAT = "smollm2-135m-instruct"


def _signed_in(user: Any) -> Client:
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(user)
    return client


@pytest.fixture
def operator(member: Any) -> Client:
    operator_set(email=member.email)
    return _signed_in(member)


# -- who sees it -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/operations/", "/operations/stats"])
@pytest.mark.parametrize("role", ROLES)
def test_no_role_of_an_organisation_opens_it(tenant: Any, role: str, path: str) -> None:
    user = member_create(tenant_id=tenant.id, email="m@acme.example", name="M", role=role, password=None)
    response = _signed_in(user).get(path)
    assert response.status_code == 403
    assert b"worker" not in response.content.lower()


@pytest.mark.parametrize("path", ["/operations/", "/operations/stats"])
def test_nobody_else_gets_further_than_the_sign_in(db: None, path: str) -> None:
    response = Client(headers={"Host": "127.0.0.1"}).get(path)
    assert (response.status_code, response["Location"]) == (302, f"/accounts/login/?next={path}")


@pytest.mark.parametrize("path", ["/operations/", "/operations/stats"])
def test_an_api_key_does_not_open_it(api: Any, path: str) -> None:
    assert api._client.get(path).status_code == 302


def test_an_operator_opens_it(operator: Client) -> None:
    page = operator.get("/operations/")
    assert page.status_code == 200
    assert 'aria-current="page"' in page.content.decode()
    assert operator.get("/operations/stats").status_code == 200


def test_an_operator_needs_no_organisation(db: None) -> None:
    user = User.objects.create_user(email="op@machine.example", password=None, email_verified_at=now())
    operator_set(email="OP@machine.example")
    client = _signed_in(user)
    assert [client.get(path).status_code for path in ("/operations/", "/operations/stats")] == [200, 200]


def test_an_operator_whose_right_ended_is_out_at_once(operator: Client, member: Any) -> None:
    call_command("operator_set", member.email, "--revoke")
    assert operator.get("/operations/stats").status_code == 403


def test_an_account_that_was_closed_is_out_at_once(operator: Client, member: Any) -> None:
    User.objects.filter(id=member.id).update(is_active=False)
    assert operator.get("/operations/stats").status_code == 302


def test_only_operators_see_the_link(operator: Client, tenant: Any) -> None:
    agent = member_create(tenant_id=tenant.id, email="a@acme.example", name="A", role="agent", password=None)
    assert b'href="/operations/"' in operator.get("/inbox/").content
    assert b'href="/operations/"' not in _signed_in(agent).get("/inbox/").content


def test_an_address_without_an_account_makes_no_operator(db: None) -> None:
    with pytest.raises(CommandError, match="no account"):
        call_command("operator_set", "nobody@acme.example")


@pytest.mark.django_db(transaction=True)
def test_the_owner_of_the_demo_is_made_an_operator_once(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(demo, "_wait_models", lambda say: None)
    monkeypatch.setattr(demo, "_wait_sources", lambda *_: None)
    demo.demo_seed(say=print)
    body = json.loads((tmp_path / "demo.json").read_text())
    assert list(User.objects.filter(is_staff=True).values_list("email", flat=True)) == [body["owner"]["email"]]
    operator_set(email=body["owner"]["email"], operator=False)
    demo.demo_seed(say=print)
    assert not User.objects.filter(is_staff=True).exists()


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_the_page_only_shows(operator: Client, method: str) -> None:
    assert getattr(operator, method)("/operations/stats").status_code == 405


# -- the answer ------------------------------------------------------------------------------------------------------
def test_the_figures_of_a_worker_are_shown(operator: Client, valkey: redis.Redis) -> None:
    stats_publish(WORKER, workers.usual())
    found = operator.get("/operations/stats").json()
    assert (found["used_mb"], found["budget_mb"]) == (780, 4096)
    assert [(one["name"], one["loads"], one["unloads"], one["hits"]) for one in found["workers"]] == [
        (WORKER, 3, 1, 90)
    ]
    chat = next(row for row in found["models"] if row["name"] == CHAT)
    assert (chat["state"], chat["default"], chat["memory_mb"], chat["leases"]) == ("ready", True, 600, 2)
    assert (chat["finished"], chat["cancelled"], chat["not_done"]) == (30, 5, 7)
    assert (chat["running"], chat["queued"], chat["cached_share"]) == (3, 10, 0.25)
    assert found["permits"] == {"in_use": 0, "limit": 32}


def test_without_a_worker_the_catalogue_is_there_and_nothing_is_loaded(operator: Client, valkey: redis.Redis) -> None:
    found = operator.get("/operations/stats").json()
    assert (found["workers"], found["budget_mb"]) == ([], 0)
    assert {row["state"] for row in found["models"]} == {"unloaded"}
    assert CHAT in {row["name"] for row in found["models"]}


def test_the_reason_of_a_failed_start_is_shown(operator: Client, valkey: redis.Redis) -> None:
    start_failure_note("all-minilm-l6-v2: the package is not installed; run `pip install`")
    assert "run `pip install`" in operator.get("/operations/stats").json()["failure"]["reason"]


def test_a_catalogue_that_cannot_be_read_hides_nothing_else(
    operator: Client, valkey: redis.Redis, settings: Any, tmp_path: Path
) -> None:
    settings.INFERENCE_CATALOGUE = tmp_path / "none.json"
    stats_publish(WORKER, workers.usual())
    found = operator.get("/operations/stats").json()
    assert "none.json" in found["catalogue_error"]
    assert [row["state"] for row in found["models"]] == ["ready", "ready"]


def test_without_redis_the_answer_is_503_with_the_request_id(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise Unavailable("The queue is not reachable.", retry_after_s=2)

    monkeypatch.setattr(selectors, "engine_stats", away)
    response = operator.get("/operations/stats", headers={"X-Request-ID": "look-me-up"})
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
    assert response.json()["error"]["request_id"] == "look-me-up"


def test_a_redis_that_hangs_does_not_hold_up_the_answer(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors, "engine_stats", lambda: time.sleep(9))
    began = time.monotonic()
    assert operator.get("/operations/stats").status_code == 503
    assert time.monotonic() - began < 8


@pytest.mark.parametrize("after", ["", "x", "nan", "inf", "-inf", "-1", "1e300", "9" * 400, "%00", "1_0"])
def test_an_odd_time_is_no_error(operator: Client, valkey: redis.Redis, after: str) -> None:
    stats_publish(WORKER, workers.usual())
    assert len(operator.get(f"/operations/stats?after={after}").json()["series"]) <= 150


def test_the_figures_name_no_organisation_and_hold_no_text(
    operator: Client, tenant: Any, api: Any, valkey: redis.Redis
) -> None:
    api.post("/conversations", {"contact": {"name": "Canary Kanaal"}})
    stats_publish(WORKER, workers.usual())
    body = operator.get("/operations/stats").content.decode()
    assert [word for word in (tenant.name, str(tenant.id), tenant.slug, "Kanaal") if word in body] == []


def test_models_beyond_the_bound_are_counted(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    stats_publish(WORKER, workers.usual())
    everything = len(operations_view()["models"])
    monkeypatch.setattr(selectors, "MAX_MODELS", 1)
    found = operations_view()
    assert (len(found["models"]), found["models_left_out"]) == (1, everything - 1)


# -- the past --------------------------------------------------------------------------------------------------------
def test_a_poll_gets_what_is_new_and_no_more(valkey: redis.Redis) -> None:
    for ago_s in range(HISTORY_LENGTH - 1, 0, -1):
        workers.publish_past(valkey, WORKER, workers.usual(), ago_s=ago_s)
    stats_publish(WORKER, workers.usual())
    everything = operations_view()["series"]
    later = operations_view(after=everything[-3]["at"])["series"]
    assert 145 <= len(everything) <= 150
    assert 2 <= len(later) <= 4
    assert len(engine_histories([WORKER], after=time.time() - 4)[WORKER]) <= 14
    assert len(engine_history(WORKER)) == HISTORY_LENGTH


def test_the_history_of_a_worker_is_bounded(valkey: redis.Redis) -> None:
    for ago_s in range(HISTORY_LENGTH + 40, 0, -1):
        workers.publish_past(valkey, WORKER, workers.usual(), ago_s=ago_s)
    stats_publish(WORKER, workers.usual())
    assert valkey.llen(f"infer:history:{WORKER}") == HISTORY_LENGTH


def _points(*found: tuple[float, dict[str, Any]]) -> list[dict[str, Any]]:
    from apps.inference.services.stats import _point

    return [_point({"at": at, **info}) for at, info in found]


def _chat(**changes: Any) -> dict[str, Any]:
    return workers.info(m=workers.chat_model(**changes))


def _last(*points: tuple[float, dict[str, Any]], now: float = 1000.5) -> dict[str, Any]:
    return series_of({WORKER: _points(*points)}, after=now - STEP_S, now=now)[-1]


def test_a_rate_is_what_grew_by_the_time_that_passed() -> None:
    found = _last((997.5, _chat(generated_tokens=100)), (1000.0, _chat(generated_tokens=200)))
    assert found["generated_per_s"] == 40.0
    assert found["encoded_per_s"] == 0.0


def test_embedding_tokens_are_a_line_of_their_own() -> None:
    before, now = (workers.info(m=workers.embedding_model(tokens=tokens)) for tokens in (0, 500))
    found = _last((998.0, before), (1000.0, now))
    assert (found["generated_per_s"], found["encoded_per_s"]) == (0.0, 250.0)


def test_a_model_that_was_loaded_anew_does_not_count_backwards() -> None:
    found = _last((998.0, _chat(generated_tokens=9000)), (1000.0, _chat(generated_tokens=20)))
    assert found["generated_per_s"] == 10.0


def test_a_mean_is_of_what_happened_in_the_step() -> None:
    bounds = workers.WAIT_BUCKETS_S
    before = _chat(first_token_s=workers.histogram(bounds, 9.0, 9.0))
    now = _chat(first_token_s=workers.histogram(bounds, 9.0, 9.0, 0.1, 0.3))
    assert _last((998.0, before), (1000.0, now))["first_token_s"] == pytest.approx(0.2)


def test_where_nothing_happened_there_is_no_mean() -> None:
    found = _last((998.0, _chat()), (1000.0, _chat()))
    assert (found["first_token_s"], found["wait_s"], found["chat_batch"]) == (None, None, None)


def test_classes_are_kept_apart_and_workers_summed() -> None:
    points = _points((999.5, workers.usual()))
    found = series_of({"a": points, "b": points}, after=998.5, now=1000.5)[-1]
    assert found["running"] == {"live": 8, "api": 4, "batch": 0}
    assert found["queued"] == {"live": 0, "api": 12, "batch": 28}
    assert found["used_mb"] == 1560


def test_a_silent_worker_leaves_a_gap() -> None:
    assert _last((990.0, _chat())) == {"at": 1000}


def test_the_first_point_of_a_worker_has_no_rate() -> None:
    found = _last((999.9, _chat()))
    assert (found["generated_per_s"], found["running"]["live"]) == (None, 2)


@pytest.mark.parametrize(
    ("counts", "q", "value"),
    [
        ([0, 0, 0, 0], 0.95, None),
        ([10, 0, 0, 0], 0.5, 0.5),
        ([0, 10, 0, 0], 0.5, 1.5),
        ([5, 5, 0, 0], 1.0, 2.0),
        ([0, 0, 0, 3], 0.95, 4.0),
        ([19, 0, 1, 0], 0.95, 1.0),
    ],
)
def test_a_quantile_is_read_from_the_buckets(counts: list[int], q: float, value: float | None) -> None:
    assert quantile([1.0, 2.0, 4.0], counts, q) == value


def test_the_headline_is_of_the_window_alone(valkey: redis.Redis) -> None:
    bounds = workers.WAIT_BUCKETS_S
    slow = _chat(first_token_s=workers.histogram(bounds, *[9.0] * 50))
    fast = _chat(first_token_s=workers.histogram(bounds, *[9.0] * 50, *[0.2] * 20))
    workers.publish_past(valkey, WORKER, slow, ago_s=200)
    stats_publish(WORKER, fast)
    assert operations_view()["first_token_p95_s"] == pytest.approx(0.2425)
