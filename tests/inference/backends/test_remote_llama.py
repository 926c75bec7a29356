"""The remote chat backend against a real server of another project: llama.cpp's, with the packaged model."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from apps.core.egress import model_server_transport
from apps.inference.catalogue import SMOLLM2
from apps.inference.engine.backends.remote_chat import RemoteChat
from apps.inference.engine.errors import ModelUnavailable, PromptTooLong
from apps.inference.engine.types import EngineConfig, ModelSpec
from apps.inference.engine.weights import weights_locate
from tests.inference.backends.collecting import ask, say

pytestmark = pytest.mark.models

STORY = "Write a very long story about a ship, with many chapters."
SERVER = textwrap.dedent(
    """
    import os, sys, xllamacpp
    params = xllamacpp.CommonParams()
    params.model.path, params.n_parallel, params.n_ctx = sys.argv[1], 2, 2 * 1024
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 2
    params.api_keys, params.verbosity, params.cache_ram_mib, params.endpoint_slots = ["k"], -1, 0, True
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)
    """
)


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    command = [sys.executable, "-c", SERVER, str(weights_locate(SMOLLM2))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.kill()
    process.wait()


def connect(base: str, key: str = "k") -> RemoteChat:
    spec = ModelSpec(
        "far", "chat", "remote", f"remote:{base}/v1", "", {}, "", 1024, options={"slots": 4, "api_key_env": "KEY"}
    )
    config = EngineConfig(Path(), transport=model_server_transport, secret=lambda name: key)
    backend = RemoteChat(spec, Path(), config)
    backend.load()
    return backend


@pytest.fixture(scope="module")
def llama_server(base: str) -> Iterator[RemoteChat]:
    backend = connect(base)
    yield backend
    backend.stop()


def busy_slots(base: str) -> int:
    slots: list[dict[str, Any]] = httpx.get(f"{base}/slots", headers={"Authorization": "Bearer k"}).json()
    return sum(slot["is_processing"] for slot in slots)


def test_server_is_healthy_and_streams(llama_server: RemoteChat) -> None:
    done = ask(llama_server, "What is a refund?", max_tokens=20).ended()
    assert done.stats is not None
    assert llama_server.health()
    assert (done.stats.completion_tokens, done.stats.finish_reason, len(done.pieces) > 10) == (20, "length", True)
    assert done.stats.prompt_tokens == 35


def test_seed_repeats(llama_server: RemoteChat) -> None:
    texts = [say(llama_server, STORY, max_tokens=20, temperature=1.2, seed=seed) for seed in (7, 8, 7)]
    assert [text == texts[0] for text in texts] == [True, False, True]


def test_choices_stop_strings_and_log_probabilities(llama_server: RemoteChat) -> None:
    prompt = "Count from 1 to 20."
    done = ask(llama_server, prompt, max_tokens=12, n=2, stop=("3",), logprobs=2).ended()
    assert done.stats is not None
    assert done.stats.finish_reasons == ("stop", "stop")
    assert ["3" in done.text(index) for index in range(2)] == [False, False]
    assert {len(token.top) for piece in done.pieces for token in piece.logprobs} == {2}


def test_json_schema_is_followed(llama_server: RemoteChat) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer", "maximum": 99}}, "required": ["age"]}
    text = say(llama_server, "A person.", max_tokens=60, json_schema=schema | {"additionalProperties": False})
    assert list(json.loads(text)) == ["age"]


def test_raw_prompt_is_continued(llama_server: RemoteChat) -> None:
    assert say(llama_server, prompt="1, 2, 3, 4, 5,", max_tokens=3) == " 6,"


def test_long_prompt_is_recognised(llama_server: RemoteChat) -> None:
    assert isinstance(ask(llama_server, "word " * 3000).ended().failed, PromptTooLong)


def test_cancel_frees_the_servers_slot(llama_server: RemoteChat, base: str) -> None:
    running = ask(llama_server, STORY, max_tokens=900).begun()
    before = busy_slots(base)
    running.cancel()
    give_up = time.monotonic() + 10
    while busy_slots(base) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert (before, busy_slots(base)) == (1, 0)


def test_wrong_key_is_told(base: str) -> None:
    backend = connect(base, key="wrong")
    failed = ask(backend, "Hi").ended().failed
    backend.stop()
    assert isinstance(failed, ModelUnavailable)
    assert "key" in str(failed)
