"""What /metrics says, and to whom."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from apps.core.tenancy import tenant_scope
from apps.events.models import OutboxEntry
from apps.inference.engine.host import EngineHost
from apps.inference.selectors import operations_view
from apps.inference.services import generation_permit
from apps.inference.services.stats import stats_publish
from apps.inference.types import ChatMessage, GenerateRequest
from apps.jobs.services import job_enqueue
from nlpsuite.metrics.web import REGISTRY, SocketCount
from tests.inference import workers

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
CHAT = {"worker": "host:7", "model": "smollm2-135m-instruct"}
EMBEDDING = {"worker": "host:7", "model": "all-minilm-l6-v2"}


def _text(**headers: str) -> str:
    response = Client(headers={"Host": "127.0.0.1", **headers}).get("/metrics")
    assert response.status_code == 200, response.content
    return response.content.decode()


def _samples(text: str) -> Samples:
    """Every sample by name and labels, read by Prometheus' own parser."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


@pytest.fixture
def published(db: None, valkey: redis.Redis) -> Samples:
    stats_publish("host:7", workers.usual())
    return _samples(_text())


# -- what workers say ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("queue_depth", CHAT | {"class": "batch"}, 7),
        ("queue_depth", EMBEDDING | {"class": "api"}, 3),
        ("running", CHAT | {"class": "live"}, 2),
        ("slots", CHAT, 48),
        ("prompt_tokens_total", CHAT, 2000),
        ("cached_prompt_tokens_total", CHAT, 500),
        ("generated_tokens_total", CHAT, 900),
        ("encoded_tokens_total", EMBEDDING, 4000),
        ("batches_total", EMBEDDING, 10),
        ("requests_total", CHAT | {"outcome": "finished"}, 30),
        ("requests_total", CHAT | {"outcome": "cancelled"}, 5),
        ("requests_total", CHAT | {"outcome": "failed"}, 1),
        ("requests_total", CHAT | {"outcome": "refused"}, 4),
        ("requests_total", CHAT | {"outcome": "expired"}, 2),
        ("requests_total", EMBEDDING | {"outcome": "refused"}, 4),
        ("items_total", EMBEDDING | {"outcome": "finished"}, 120),
        ("items_total", EMBEDDING | {"outcome": "expired"}, 2),
        ("restarts_total", CHAT, 1),
        ("model_memory_bytes", CHAT, 600 * 2**20),
        ("model_leases", CHAT, 2),
        ("kv_cache_usage_ratio", CHAT, 0.25),
        ("memory_used_bytes", {"worker": "host:7"}, 780 * 2**20),
        ("memory_budget_bytes", {"worker": "host:7"}, 4096 * 2**20),
        ("model_loads_total", {"worker": "host:7"}, 3),
        ("model_unloads_total", {"worker": "host:7"}, 1),
        ("model_hits_total", {"worker": "host:7"}, 90),
        ("workers", {}, 1),
    ],
)
def test_a_counter_of_a_worker_is_shown(published: Samples, name: str, labels: dict[str, str], value: float) -> None:
    assert _value(published, f"nlpsuite_inference_{name}", **labels) == value


def test_what_a_kind_of_model_does_not_count_is_not_shown(published: Samples) -> None:
    assert _value(published, "nlpsuite_inference_generated_tokens_total", **EMBEDDING) is None
    assert _value(published, "nlpsuite_inference_encoded_tokens_total", **CHAT) is None
    assert _value(published, "nlpsuite_inference_time_to_first_token_seconds_count", **EMBEDDING) is None


def test_cache_hits_that_a_backend_does_not_tell_are_not_shown_as_none_at_all(db: None, valkey: redis.Redis) -> None:
    stats_publish("host:7", workers.info(smollm2_135m_instruct=workers.chat_model(cached_tokens=None)))
    assert _value(_samples(_text()), "nlpsuite_inference_cached_prompt_tokens_total", **CHAT) is None
    rows = {row["name"]: row for row in operations_view()["models"]}
    assert rows[CHAT["model"]]["cached_share"] is None


def test_a_loaded_model_says_what_it_is(published: Samples) -> None:
    about = {"role": "chat", "backend": "openvino-genai", "revision": "0.1.2", "state": "ready"}
    assert _value(published, "nlpsuite_inference_model_info", **CHAT, **about) == 1


@pytest.mark.parametrize(("bound", "count"), [("0.001", 1), ("0.01", 1), ("0.025", 3), ("30.0", 3), ("+Inf", 4)])
def test_buckets_are_cumulative(published: Samples, bound: str, count: int) -> None:
    """The workers count per bucket: 0.0005, 0.02, 0.02 and 60 seconds."""
    assert _value(published, "nlpsuite_inference_queue_wait_seconds_bucket", **CHAT, le=bound) == count


def test_a_histogram_has_its_count_and_sum(published: Samples) -> None:
    name = "nlpsuite_inference_queue_wait_seconds"
    assert _value(published, f"{name}_count", **CHAT) == 4
    assert _value(published, f"{name}_sum", **CHAT) == pytest.approx(60.0405)


def test_values_on_a_bound_count_below_it(published: Samples) -> None:
    found = [_value(published, "nlpsuite_inference_batch_size_bucket", **CHAT, le=le) for le in ("1.0", "2.0", "4.0")]
    assert found == [1, 1, 3]


def test_every_worker_has_series_of_its_own(db: None, valkey: redis.Redis) -> None:
    stats_publish("a:1", workers.usual())
    stats_publish("b:2", workers.info(smollm2_135m_instruct=workers.chat_model(generated_tokens=7)))
    found = _samples(_text())
    name, model = "nlpsuite_inference_generated_tokens_total", CHAT["model"]
    assert _value(found, name, worker="a:1", model=model) == 900
    assert _value(found, name, worker="b:2", model=model) == 7


def test_a_model_that_is_loading_is_no_error(db: None, valkey: redis.Redis) -> None:
    """While it loads it has no counters yet."""
    keys = ("role", "backend", "revision", "memory_mb", "pinned", "leases", "load_s")
    loading = {key: workers.chat_model()[key] for key in keys} | {"state": "loading"}
    stats_publish("host:7", workers.info(smollm2_135m_instruct=loading))
    assert _value(_samples(_text()), "nlpsuite_inference_model_memory_bytes", **CHAT) == 600 * 2**20


def test_a_worker_of_another_release_is_no_error(db: None, valkey: redis.Redis) -> None:
    stats_publish("host:7", {"models": {"m": {"role": "chat"}}, "used_mb": 1})
    assert _value(_samples(_text()), "nlpsuite_inference_workers") == 1


def test_figures_of_a_worker_that_is_gone_end(db: None, valkey: redis.Redis) -> None:
    stats_publish("host:7", workers.usual())
    valkey.delete("infer:stats:host:7")  # as its time to live does
    found = _samples(_text())
    assert _value(found, "nlpsuite_inference_workers") == 0
    assert _value(found, "nlpsuite_inference_slots", **CHAT) is None


@pytest.mark.models
def test_a_generation_of_the_real_engine_raises_its_counters(db: None, valkey: redis.Redis, host: EngineHost) -> None:
    labels = {"worker": "real:1", "model": CHAT["model"]}

    def read(*names: str) -> list[float]:
        stats_publish("real:1", host.info())
        found = _samples(_text())
        return [_value(found, f"nlpsuite_inference_{name}", **labels) or 0.0 for name in names]

    names = ("generated_tokens_total", "prompt_tokens_total", "time_to_first_token_seconds_count", "batch_size_count")
    before = read(*names)
    request = GenerateRequest((ChatMessage("user", "Say hello."),), max_tokens=8)
    generation = host.generate(request, deadline_s=30)
    list(generation)
    assert generation.stats is not None
    host.embed(["one", "two"], deadline_s=30)
    # The chat process tells its counters when asked, a moment later.
    give_up = time.monotonic() + 10
    grown = [0.0]
    while min(grown) <= 0 and time.monotonic() < give_up:
        grown = [new - old for new, old in zip(read(*names), before, strict=True)]
    assert grown == [generation.stats.completion_tokens, generation.stats.prompt_tokens, 1, 1]


@pytest.mark.models
def test_a_generation_that_is_cut_short_has_a_time_to_its_first_token(host: EngineHost) -> None:
    def count() -> int:
        return sum(host.info()["models"][CHAT["model"]]["first_token_s"]["counts"])

    before = count()
    request = GenerateRequest((ChatMessage("user", "Write a very long story."),), max_tokens=500)
    generation = host.generate(request, deadline_s=30)
    next(iter(generation))
    assert count() == before + 1
    generation.close()
    assert count() == before + 1


# -- what the installation holds -------------------------------------------------------------------------------------
def test_permits_jobs_and_outbox_are_counted(tenant: Any, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    from nlpsuite.metrics import installation

    # The look has a thread and a connection of its own, which does not see this test's transaction.
    monkeypatch.setattr(installation.connection, "close", lambda: None)
    monkeypatch.setattr("apps.core.looks.ThreadPoolExecutor", _Here)
    with tenant_scope(tenant.id):
        job_enqueue(tenant_id=tenant.id, kind="knowledge.files_delete", payload={"names": []})
    entries = OutboxEntry.objects.filter(state="pending").count()
    collector = installation.InstallationCollector()
    with generation_permit(tenant_id=tenant.id, key="x", deadline_s=30):
        found = {
            (sample.name, tuple(sample.labels.values())): sample.value
            for family in collector.collect()
            for sample in family.samples
        }
    assert found["nlpsuite_generation_permits_in_use", ()] == 1
    assert found["nlpsuite_jobs", ("default", "queued")] == 1
    assert found["nlpsuite_outbox_entries", ("pending",)] == entries
    assert found["nlpsuite_up", ("database",)] == found["nlpsuite_up", ("redis",)] == 1


class _Here:
    """An executor that runs everything at once on the caller's thread."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def submit(self, work: Any, *args: Any) -> Any:
        from concurrent.futures import Future

        future: Future[Any] = Future()
        future.set_result(work(*args))
        return future


@pytest.fixture
def redis_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    lost = redis.Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.2)
    for module in ("stats", "permits", "local", "rpc", "startup"):
        monkeypatch.setattr(f"apps.inference.services.{module}.redis_client", lambda: lost)
    yield
    lost.close()


def test_without_redis_the_metrics_say_so(db: None, redis_away: None) -> None:
    found = _samples(_text())
    assert _value(found, "nlpsuite_up", part="redis") == 0
    assert _value(found, "nlpsuite_up", part="models") == 0
    assert _value(found, "nlpsuite_up", part="database") == 1
    assert _value(found, "nlpsuite_inference_workers") is None
    assert _value(found, "process_resident_memory_bytes") is not None


def test_a_redis_that_hangs_does_not_hold_up_the_metrics(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from nlpsuite.metrics import installation

    monkeypatch.setattr("nlpsuite.metrics.installation._redis", lambda: time.sleep(8) or {})
    began = time.monotonic()
    collector = installation.InstallationCollector()
    found = {
        sample.labels.get("part"): sample.value
        for family in collector.collect()
        for sample in family.samples
        if sample.name == "nlpsuite_up"
    }
    assert time.monotonic() - began < 7
    assert (found["redis"], found["database"]) == (0, 1)


# -- what the web process serves -------------------------------------------------------------------------------------
def _requests(route: str, status: str, method: str = "GET") -> float:
    labels = {"route": route, "status": status, "method": method}
    return _value(_samples(_text()), "nlpsuite_http_request_duration_seconds_count", **labels) or 0.0


def test_a_request_is_counted_under_its_route_and_not_its_path(api: Any) -> None:
    route = "/api/v1/conversations/<conversation_id>"
    before = _requests(route, "4xx")
    api.get("/conversations/11111111-1111-4111-8111-111111111111")
    api.get("/conversations/22222222-2222-4222-8222-222222222222")
    assert _requests(route, "4xx") - before == 2
    assert "11111111" not in _text()


def test_unknown_paths_and_methods_make_no_series_of_their_own(db: None) -> None:
    client = Client(headers={"Host": "127.0.0.1"})
    before = _requests("none", "4xx"), _requests("/healthz", "4xx", "other")
    client.get("/no/such/page-8271")
    client.generic("BREW-8271", "/healthz")
    assert (_requests("none", "4xx") - before[0], _requests("/healthz", "4xx", "other") - before[1]) == (1, 1)
    assert "8271" not in _text()


async def test_an_open_socket_is_counted_until_it_closes() -> None:
    seen: list[float | None] = []

    async def look(*_: Any) -> None:
        seen.append(REGISTRY.get_sample_value("nlpsuite_open_sockets", {"kind": "visitor"}))

    await SocketCount(look)({"type": "websocket", "path": "/ws/widget"}, None, None)
    await SocketCount(look)({"type": "websocket", "path": "/ws/unknown"}, None, None)
    assert seen == [1, 0]


# -- who may read it -------------------------------------------------------------------------------------------------
def _status(settings_token: str, settings: Any, remote: str = "127.0.0.1", **headers: str) -> int:
    settings.METRICS_TOKEN = settings_token
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "support.example", "[::1]"]
    client = Client(headers={"Host": "127.0.0.1", **headers}, REMOTE_ADDR=remote)
    return client.get("/metrics").status_code


@pytest.mark.parametrize("remote", ["127.0.0.1", "127.0.0.9", "::1"])
@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "localhost", "[::1]:8000"])
def test_this_machine_reads_the_metrics_without_a_token(db: None, settings: Any, remote: str, host: str) -> None:
    assert _status("", settings, remote, Host=host) == 200


@pytest.mark.parametrize(
    "remote", ["10.0.0.8", "172.17.0.1", "192.168.1.4", "203.0.113.9", "fe80::1", "2001:db8::1", ""]
)
def test_other_machines_do_not(db: None, settings: Any, remote: str) -> None:
    assert _status("", settings, remote) == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-Proto": "https"},
        {"X-Real-IP": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"Via": "1.1 proxy"},
        {"Host": "support.example"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_a_proxy_on_this_machine_does_not_open_them_to_the_world(db: None, settings: Any, headers: Any) -> None:
    assert _status("", settings, **headers) == 403


@pytest.mark.parametrize("remote", ["127.0.0.1", "203.0.113.9"])
@pytest.mark.parametrize(
    "given",
    ["", "Bearer", "Bearer ", "Bearer wrong", "right-token", "Basic cmlnaHQ=", "Bearer right-token ", "Bearer é"],
)
def test_a_token_that_is_set_is_asked_of_everybody(db: None, settings: Any, remote: str, given: str) -> None:
    assert _status("right-token", settings, remote, **({"Authorization": given} if given else {})) == 401


def test_the_token_opens_the_metrics_from_anywhere(db: None, settings: Any) -> None:
    given = {"Authorization": "Bearer right-token", "X-Forwarded-For": "203.0.113.9"}
    assert _status("right-token", settings, "203.0.113.9", **given) == 200


def test_a_refusal_has_the_shape_of_every_error(db: None, settings: Any) -> None:
    settings.METRICS_TOKEN = "right-token"
    response = Client(headers={"Host": "127.0.0.1"}).get("/metrics")
    assert sorted(response.json()["error"]) == ["code", "message", "request_id"]
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_the_metrics_hold_no_text_and_no_organisation(tenant: Any, api: Any, valkey: redis.Redis) -> None:
    api.post("/conversations", {"contact": {"name": "Canary Kanaal"}})
    text = _text()
    assert [word for word in (tenant.name, str(tenant.id), tenant.slug, "Kanaal") if word in text] == []
