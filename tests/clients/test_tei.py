"""huggingface_hub's client, and plain HTTP, against TEI's routes of the running product."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import pytest
from huggingface_hub.errors import HfHubHTTPError

from tests.stack import Stack

pytestmark = pytest.mark.stack
TEXTS = ["refund my order", "I want my money back", "the weather in Paris"]


@pytest.mark.parametrize("path", ["/tei", "/tei/", "/tei/embed"])
def test_the_hubs_client_extracts_features(hub: Any, path: str) -> None:
    vectors = np.concatenate([hub(path).feature_extraction(text, normalize=True) for text in TEXTS])
    assert vectors.shape == (3, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_the_hubs_client_cuts_and_shortens(hub: Any) -> None:
    vectors = hub("/tei/embed").feature_extraction(
        "word " * 600, truncate=True, truncation_direction="right", dimensions=64
    )
    assert vectors.shape == (1, 64)


@pytest.mark.parametrize("path", ["/tei", "/tei/similarity"])
def test_the_hubs_client_compares_sentences(hub: Any, path: str) -> None:
    found = hub(path).sentence_similarity(TEXTS[0], other_sentences=TEXTS[1:])
    assert len(found) == 2
    assert found[0] > found[1]


# -- its chat speaks OpenAI's shape ----------------------------------------------------------------------------------
HELLO = [{"role": "user", "content": "Say hello."}]


def test_the_hubs_client_chats_whole_and_as_a_stream(hub: Any, chat_model: str) -> None:
    asked: dict[str, Any] = {"model": chat_model, "max_tokens": 12, "temperature": 0}
    client = hub("/v1")
    whole = client.chat_completion(HELLO, **asked)
    chunks = list(client.chat_completion(HELLO, **asked, stream=True))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content != ""
    assert whole.usage.completion_tokens >= 1


def test_the_hubs_client_asks_for_json_in_its_own_way(hub: Any, chat_model: str) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = hub("/v1").chat_completion(HELLO, model=chat_model, max_tokens=40, temperature=0, response_format=wanted)
    assert isinstance(json.loads(answer.choices[0].message.content)["ok"], bool)


# -- plain HTTP ------------------------------------------------------------------------------------------------------
def test_embed_and_info_over_plain_http(stack: Stack) -> None:
    with stack.client() as client:
        vectors = client.post("/tei/embed", json={"inputs": TEXTS})
        info = client.get("/tei/info").json()
    assert (vectors.status_code, len(vectors.json())) == (200, 3)
    assert info["model_id"] == stack.demo["embedding_model"]
    assert httpx.get(f"{stack.base}/tei/health").status_code == 200


def test_a_refusal_reaches_the_hubs_client(stack: Stack, hub: Any) -> None:
    with pytest.raises(HfHubHTTPError) as caught:
        hub("/tei/embed").feature_extraction("word " * 600)
    assert caught.value.response.status_code == 413
    assert caught.value.response.json()["error_type"] == "validation"


def test_a_wrong_key_is_refused_in_teis_shape(stack: Stack) -> None:
    answer = httpx.post(f"{stack.base}/tei/embed", json={"inputs": "a"}, headers={"Authorization": "Bearer wrong"})
    assert (answer.status_code, answer.json()["error_type"]) == (401, "unauthorized")
