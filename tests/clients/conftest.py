"""The real clients of other servers, speaking with the running product."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import redis
from huggingface_hub import InferenceClient, constants

from nlpsuite.settings.env import runtime_dir
from tests.stack import Stack


@pytest.fixture(scope="session")
def oc(stack: Stack) -> Iterator[openai.OpenAI]:
    """OpenAI's client with the demo's key. It does not try again by itself: a refusal is seen."""
    with openai.OpenAI(
        base_url=f"{stack.base}/v1", api_key=stack.demo["api_key"], max_retries=0, timeout=120
    ) as client:
        yield client


@pytest.fixture(scope="session")
def chat_model(stack: Stack) -> str:
    return stack.demo["chat_model"]


@pytest.fixture(scope="session")
def embedding_model(stack: Stack) -> str:
    return stack.demo["embedding_model"]


@pytest.fixture
def hub(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes huggingface_hub clients of a path below /tei, or of another."""
    # The product sets the hub's offline mode for its process, and this is the process of the tests.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    def client(path: str) -> InferenceClient:
        return InferenceClient(base_url=stack.base + path, api_key=stack.demo["api_key"], timeout=60)

    return client


class Engine:
    """What the installation's inference worker counts, and which permits are held."""

    def __init__(self, stack: Stack) -> None:
        self._redis = redis.Redis(unix_socket_path=str(runtime_dir(stack.data) / "valkey.sock"))
        self._demo = stack.demo

    def counters(self, model: str) -> dict[str, Any]:
        """The last counters that a worker has published of a model."""
        workers = self._redis.zrange("infer:workers", -1, -1)
        return json.loads(self._redis.get(b"infer:stats:" + workers[0]))["models"][model]

    def running(self, model: str) -> int:
        found = self.counters(model)
        return sum(found["running"].values()) + sum(found["queued"].values())

    def calls(self) -> int:
        """Calls of the demo organisation that count as running."""
        return self._redis.zcard(f"infer:tenant:{self._demo['organization_id']}")


@pytest.fixture(scope="session")
def engine(stack: Stack) -> Engine:
    return Engine(stack)
