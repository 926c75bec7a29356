"""Calls to the models from a process that has none: everything but Celery's transport is real."""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import redis

from apps.core.errors import AppError, Busy, DeadlineExceeded, Invalid, TooLarge, Unavailable
from apps.inference.engine.host import EngineHost
from apps.inference.services import embed_texts, generate_stream, local_engine
from apps.inference.services.answering import request_answer
from apps.inference.services.rpc import RemoteCall, payload_key, taken_key
from apps.inference.services.stats import worker_name
from apps.inference.tasks import infer_task
from apps.inference.types import ChatMessage, GenerateRequest

pytestmark = pytest.mark.models

WORKER = "worker-of-test"


class Queue:
    """Stands in for the broker: runs the task in a thread that has the engine, or keeps it back."""

    def __init__(self) -> None:
        self.held: list[tuple[str, str]] = []
        self.hold = False
        self.sent: list[dict[str, Any]] = []

    def send_task(self, name: str, args: list[str], **options: Any) -> None:
        assert name == infer_task.name
        self.sent.append({"args": args, **options})
        if self.hold:
            self.held.append((args[0], args[1]))
        else:
            self.run(*args)

    def run(self, tenant_id: str, request_id: str) -> threading.Thread:
        thread = threading.Thread(target=infer_task, args=(tenant_id, request_id), name=WORKER, daemon=True)
        thread.start()
        return thread


@pytest.fixture
def queue(host: EngineHost, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Queue:
    broker = Queue()

    def engine_here() -> EngineHost | None:
        return host if threading.current_thread().name == WORKER else None

    # What the heartbeat of a real worker keeps saying.
    valkey.zadd("infer:workers", {worker_name(): time.time() + 600})
    for module in ("batches", "generation", "answering"):
        monkeypatch.setattr(f"apps.inference.services.{module}.local_engine", engine_here)
    monkeypatch.setattr("apps.inference.services.rpc.current_app", SimpleNamespace(send_task=broker.send_task))
    return broker


def ask(text: str = "Write a very long story about a ship.", **options: Any) -> GenerateRequest:
    return GenerateRequest((ChatMessage("user", text),), **options)


def chat(host: EngineHost) -> dict[str, Any]:
    return host.info()["models"]["smollm2-135m-instruct"]


def until(condition: Callable[[], bool], timeout_s: float = 5.0) -> bool:
    give_up = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < give_up:
        time.sleep(0.02)
    return condition()


def test_this_process_has_no_engine_of_its_own() -> None:
    assert local_engine() is None


def test_embeddings_are_the_engines_own(queue: Queue, host: EngineHost, tenant_id: uuid.UUID) -> None:
    texts = ["refund", "long " * 500, "你好 🚢"]
    result = embed_texts(texts, tenant_id=tenant_id)
    direct = host.embed(texts, deadline_s=30)
    np.testing.assert_allclose(result.vectors, direct.vectors, atol=1e-6)
    assert result.truncated == direct.truncated == (1,)
    assert result.vectors.dtype == np.float32


def test_nothing_is_left_in_redis(queue: Queue, valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    embed_texts(["x"], tenant_id=tenant_id)
    list(generate_stream(ask(max_tokens=5), tenant_id=tenant_id))
    assert until(lambda: valkey.keys("t:*") == [])
    assert valkey.keys("infer:queue:*") == []


def test_message_expires_with_the_deadline(queue: Queue, valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    embed_texts(["x"], tenant_id=tenant_id, deadline_s=7)
    assert queue.sent[0]["expires"] == 7
    assert queue.sent[0]["queue"] == "inference"


def test_no_texts_need_no_worker(queue: Queue, tenant_id: uuid.UUID) -> None:
    assert embed_texts([], tenant_id=tenant_id).vectors.shape == (0, 384)
    assert queue.sent == []


def test_too_many_texts_are_refused(queue: Queue, tenant_id: uuid.UUID) -> None:
    with pytest.raises(TooLarge):
        embed_texts(["x"] * 257, tenant_id=tenant_id)


def test_lone_surrogates_are_embedded(queue: Queue, tenant_id: uuid.UUID) -> None:
    assert embed_texts(["a\ud800b"], tenant_id=tenant_id).vectors.shape == (1, 384)


def test_generation_streams_the_engines_text(queue: Queue, host: EngineHost, tenant_id: uuid.UUID) -> None:
    request = ask("What is the capital of France?", max_tokens=30)
    stream = generate_stream(request, tenant_id=tenant_id)
    pieces = list(stream)
    assert len(pieces) > 1
    assert "".join(p.text for p in pieces) == "".join(p.text for p in host.generate(request, deadline_s=30))
    assert stream.stats is not None
    assert sum(p.tokens for p in pieces) <= stream.stats.completion_tokens <= 30


def test_closing_the_stream_stops_the_engine(queue: Queue, host: EngineHost, tenant_id: uuid.UUID) -> None:
    stream = generate_stream(ask(max_tokens=3000), tenant_id=tenant_id)
    next(stream)
    stream.close()
    assert until(lambda: sum(chat(host)["running"].values()) == 0, 0.6)
    before = chat(host)["generated_tokens"]
    time.sleep(0.3)
    assert chat(host)["generated_tokens"] == before


def test_should_stop_ends_the_stream_as_cancelled(queue: Queue, host: EngineHost, tenant_id: uuid.UUID) -> None:
    stop = threading.Event()
    stream = generate_stream(ask(max_tokens=3000), tenant_id=tenant_id, should_stop=stop.is_set)
    next(stream)
    stop.set()
    list(stream)
    assert stream.stats is not None
    assert stream.stats.finish_reason == "cancelled"
    assert until(lambda: sum(chat(host)["running"].values()) == 0, 0.6)


def test_engines_errors_keep_their_codes(queue: Queue, tenant_id: uuid.UUID) -> None:
    with pytest.raises(Invalid) as caught:
        list(generate_stream(ask("word " * 9000), tenant_id=tenant_id))
    assert (caught.value.code, caught.value.status) == ("prompt_too_long", 422)


def test_deadline_in_the_engine_reaches_the_caller(queue: Queue, tenant_id: uuid.UUID) -> None:
    with pytest.raises(DeadlineExceeded):
        list(generate_stream(ask(max_tokens=5000), tenant_id=tenant_id, deadline_s=0.5))


def test_no_worker_is_a_missed_deadline(queue: Queue, tenant_id: uuid.UUID) -> None:
    queue.hold = True
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        embed_texts(["x"], tenant_id=tenant_id, deadline_s=0.5)
    assert time.monotonic() - began > 0.5
    assert caught.value.status == 503


def test_a_missed_deadline_is_no_lost_request_however_long_sending_took(
    queue: Queue, valkey: redis.Redis, tenant_id: uuid.UUID
) -> None:
    queue.hold = True
    with RemoteCall(tenant_id, {"kind": "batch"}, deadline_s=0.1, priority="api") as call:
        while valkey.exists(payload_key(tenant_id, call.id)):
            time.sleep(0.05)
        with pytest.raises(DeadlineExceeded):
            list(call.answers())


def test_request_that_comes_late_is_dropped(queue: Queue, host: EngineHost, tenant_id: uuid.UUID) -> None:
    queue.hold = True
    with pytest.raises(DeadlineExceeded):
        embed_texts(["x"], tenant_id=tenant_id, deadline_s=0.3)
    before = host.info()["models"]["all-minilm-l6-v2"]["items"]
    queue.run(*queue.held[0]).join()
    assert host.info()["models"]["all-minilm-l6-v2"]["items"] == before


def test_request_delivered_twice_is_computed_once(
    queue: Queue, host: EngineHost, valkey: redis.Redis, tenant_id: uuid.UUID
) -> None:
    payload = {"kind": "batch", "role": "embedding", "items": ["x"], "model": "", "priority": "live"}
    payload |= {"deadline_at": time.time() + 10}
    valkey.set(payload_key(tenant_id, "twice"), json.dumps(payload))
    before = host.info()["models"]["all-minilm-l6-v2"]["items"]
    queue.run(str(tenant_id), "twice").join()
    queue.run(str(tenant_id), "twice").join()
    assert host.info()["models"]["all-minilm-l6-v2"]["items"] == before + 1


def test_flush_before_the_answer_is_unavailable_with_retry_after(
    queue: Queue, valkey: redis.Redis, tenant_id: uuid.UUID
) -> None:
    queue.hold = True
    threading.Timer(0.2, valkey.flushall).start()
    began = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        embed_texts(["x"], tenant_id=tenant_id, deadline_s=10)
    assert time.monotonic() - began < 2
    assert (caught.value.status, caught.value.retry_after_s) == (503, 1.0)


def test_flush_in_the_middle_never_gives_a_text_with_a_hole(
    queue: Queue, valkey: redis.Redis, tenant_id: uuid.UUID
) -> None:
    stream = generate_stream(ask(max_tokens=200), tenant_id=tenant_id)
    next(stream)
    # The reader looks away while entries are written; the flush takes them.
    (key,) = (key for key in valkey.keys(f"t:{tenant_id}:*") if valkey.type(key) == b"stream")
    seen = valkey.xlen(key)
    assert until(lambda: valkey.xlen(key) >= seen + 3)
    valkey.flushall()
    with pytest.raises(Unavailable):
        list(stream)


def test_queue_of_a_class_has_a_bound(queue: Queue, settings: Any, tenant_id: uuid.UUID) -> None:
    settings.INFERENCE_QUEUE_BOUNDS = {"live": 1, "api": 1, "batch": 1}
    queue.hold = True
    errors: list[AppError] = []

    def wait() -> None:
        try:
            embed_texts(["x"], tenant_id=tenant_id, deadline_s=1, priority="batch")
        except AppError as error:
            errors.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.2)
    with pytest.raises(Busy):
        embed_texts(["x"], tenant_id=tenant_id, priority="batch")
    queue.hold = False
    assert embed_texts(["x"], tenant_id=tenant_id, priority="live").vectors.shape == (1, 384)
    waiting.join()
    assert [error.code for error in errors] == ["deadline_exceeded"]


def test_an_organisation_that_fills_its_part_of_a_queue_leaves_room_for_others(
    queue: Queue, settings: Any, tenant_id: uuid.UUID
) -> None:
    settings.INFERENCE_QUEUE_BOUNDS = {"live": 4, "api": 4, "batch": 4}
    queue.hold = True
    others = uuid.uuid4()
    refused: list[uuid.UUID] = []
    held = [
        RemoteCall(whose, {"kind": "batch"}, deadline_s=30, priority="api")
        for whose in (tenant_id, tenant_id, tenant_id, tenant_id, others, others)
    ]
    entered: list[RemoteCall] = []
    try:
        for call in held:
            try:
                call.enter()
                entered.append(call)
            except Busy:
                refused.append(call.tenant_id)
        # Three of four are this organisation's; the fourth place is another's, and then the queue is full.
        assert [call.tenant_id for call in entered] == [tenant_id] * 3 + [others]
        assert refused == [tenant_id, others]
    finally:
        for call in entered:
            call.leave()


def test_worker_without_models_says_so(valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    payload = {"kind": "batch", "role": "embedding", "items": ["x"], "model": "", "priority": "live"}
    payload |= {"deadline_at": time.time() + 10}
    valkey.set(payload_key(tenant_id, "r"), json.dumps(payload))
    request_answer(tenant_id=tenant_id, request_id="r")
    fields = valkey.xrange(f"t:{tenant_id}:reply:r")[0][1]
    assert json.loads(fields[b"d"])["code"] == "unavailable"


def test_request_of_another_tenant_is_not_found(queue: Queue, valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    payload = {"kind": "batch", "role": "embedding", "items": ["x"], "model": "", "priority": "live"}
    payload |= {"deadline_at": time.time() + 10}
    valkey.set(payload_key(tenant_id, "r"), json.dumps(payload))
    queue.run(str(uuid.uuid4()), "r").join()
    assert valkey.keys("*:reply:r") == []


def test_redis_away_is_unavailable_and_not_an_error(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, tenant_id: uuid.UUID
) -> None:
    nowhere = redis.Redis(unix_socket_path="/nonexistent/valkey.sock", retry=None)
    monkeypatch.setattr("apps.inference.services.permits._acquire", lambda: nowhere.register_script("return 1"))
    with pytest.raises(Unavailable):
        embed_texts(["x"], tenant_id=tenant_id)


def test_calling_process_never_loads_torch() -> None:
    """In a process of its own: this one has loaded the models for other tests."""
    import subprocess

    code = (
        "import django, sys; django.setup(); import apps.inference.services, apps.inference.tasks;"
        "print([m for m in ('torch', 'transformers', 'openvino_genai', 'gguf') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_a_worker_that_died_with_the_request_is_told(queue: Queue, valkey: redis.Redis, tenant_id: uuid.UUID) -> None:
    queue.hold = True
    valkey.zadd("infer:workers", {"dead:1": time.time() - 60})

    def take() -> None:
        until(lambda: bool(queue.held))
        valkey.set(taken_key(payload_key(tenant_id, queue.held[0][1])), "dead:1")

    threading.Thread(target=take).start()
    began = time.monotonic()
    with pytest.raises(Unavailable, match="gone"):
        embed_texts(["x"], tenant_id=tenant_id, deadline_s=30)
    assert time.monotonic() - began < 10
