"""Embeddings in OpenAI's shape."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from apps.inference.types import EmbedResult
from tests.conftest import ApiClient
from tests.fakes import FakeModels, vector_of
from tests.model_api.conftest import EMBEDDING

pytestmark = pytest.mark.usefixtures("models")


def embed(api: ApiClient, given: Any, **body: Any) -> Any:
    return api.post("/v1/embeddings", {"model": EMBEDDING, "input": given, **body})


def vectors(answer: Any) -> np.ndarray:
    return np.array([one["embedding"] for one in answer.json()["data"]])


def refused(answer: Any) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["param"], error["code"]


def test_one_text_and_a_list_have_the_same_shape(api: ApiClient) -> None:
    one, many = embed(api, "a b").json(), embed(api, ["a b", "c"]).json()
    assert (one["object"], one["model"], one["usage"]) == ("list", EMBEDDING, {"prompt_tokens": 2, "total_tokens": 2})
    assert [(d["object"], d["index"], len(d["embedding"])) for d in many["data"]] == [
        ("embedding", 0, 384),
        ("embedding", 1, 384),
    ]
    assert one["data"][0]["embedding"] == many["data"][0]["embedding"]


def test_numbers_are_the_vectors_to_nine_decimals(api: ApiClient) -> None:
    assert np.abs(vectors(embed(api, ["a b c"]))[0] - vector_of("a b c")).max() < 1e-9


def test_base64_is_float32_in_little_endian(api: ApiClient) -> None:
    text = embed(api, "a b c", encoding_format="base64").json()["data"][0]["embedding"]
    assert np.array_equal(np.frombuffer(base64.b64decode(text), dtype="<f4"), vector_of("a b c"))


def test_fewer_dimensions_are_the_first_ones_at_length_one(api: ApiClient) -> None:
    whole, short = vectors(embed(api, ["a b c"]))[0], vectors(embed(api, ["a b c"], dimensions=64))[0]
    assert short.shape == (64,)
    assert abs(np.linalg.norm(short) - 1) < 1e-6
    assert short @ (whole[:64] / np.linalg.norm(whole[:64])) > 1 - 1e-6
    assert refused(embed(api, "a", dimensions=385)) == (400, "dimensions", "invalid_value")


def test_a_long_text_is_refused_unless_cutting_is_asked_for(api: ApiClient) -> None:
    long = "word " * 300
    assert refused(embed(api, long)) == (400, "input", "context_length_exceeded")
    assert refused(embed(api, ["short", long])) == (400, "input[1]", "context_length_exceeded")
    assert embed(api, long, truncate_prompt_tokens=-1).status_code == 200


def test_more_texts_than_one_call_takes_keep_their_order(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def numbered(texts: Any, **_: Any) -> EmbedResult:
        calls.append(len(texts))
        return EmbedResult(np.array([[float(text), 1.0] for text in texts], dtype=np.float32), (), len(texts))

    monkeypatch.setattr("apps.model_api.vectors.embed_texts", numbered)
    answer = embed(api, [str(number) for number in range(600)])
    assert calls == [256, 256, 88]
    assert vectors(answer)[:, 0].tolist() == list(range(600))
    assert answer.json()["usage"]["total_tokens"] == 600


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"input": []}, "input", "invalid_value"),
        ({"input": ""}, "input", "invalid_value"),
        ({"input": ["a", ""]}, "input", "invalid_value"),
        ({"input": [1, 2]}, "input", "invalid_value"),
        ({"input": [[1, 2]]}, "input", "invalid_value"),
        ({"input": ["a"] * 2049}, "input", "invalid_value"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format", "invalid_value"),
        ({"input": "a", "dimensions": 0}, "dimensions", "invalid_value"),
        ({"input": "a", "truncate_prompt_tokens": 5}, "truncate_prompt_tokens", "invalid_value"),
        ({"input": "a", "frobnicate": 1}, "frobnicate", "unknown_parameter"),
        ({}, "input", "missing_required_parameter"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_value_is_refused_with_its_place(
    api: ApiClient, models: FakeModels, body: dict[str, Any], param: str, code: str
) -> None:
    assert refused(api.post("/v1/embeddings", {"model": EMBEDDING, **body})) == (400, param, code)
    assert models.embedded == []


def test_token_numbers_are_refused_in_words(api: ApiClient) -> None:
    assert "send the text" in embed(api, [[1, 2]]).json()["error"]["message"]


def test_another_model_is_chosen_by_name(api: ApiClient, models: FakeModels, every_role: None) -> None:
    assert embed(api, "a", model="other/vectors").json()["model"] == "other/vectors"
    assert models.models == ["other/vectors"]
