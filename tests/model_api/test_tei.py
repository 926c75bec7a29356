"""TEI's routes, and what huggingface_hub's client posts to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from django.test import Client

from apps.core.errors import Busy, Unavailable
from apps.inference.services import catalogue
from tests.conftest import ApiClient
from tests.fakes import FakeModels, vector_of
from tests.model_api.conftest import CHAT, EMBEDDING

pytestmark = pytest.mark.usefixtures("models", "every_role")


def refused(answer: Any) -> tuple[int, str]:
    assert set(answer.json()) == {"error", "error_type"}
    return answer.status_code, answer.json()["error_type"]


# -- embed and similarity --------------------------------------------------------------------------------------------
def test_embed_gives_a_list_of_vectors_whatever_it_is_given(api: ApiClient) -> None:
    one = api.post("/tei/embed", {"inputs": "a b"}).json()
    many = api.post("/tei/embed", {"inputs": ["a b", "c"], "truncate": None, "normalize": True}).json()
    assert np.abs(np.array(one[0]) - vector_of("a b")).max() < 1e-9
    assert (len(one), len(many), many[0]) == (1, 2, one[0])


def test_embed_gives_fewer_dimensions_at_length_one(api: ApiClient) -> None:
    short = np.array(api.post("/tei/embed", {"inputs": "a b c", "dimensions": 32}).json()[0])
    assert short.shape == (32,)
    assert abs(np.linalg.norm(short) - 1) < 1e-6


def test_similarity_is_the_cosine_with_the_source(api: ApiClient) -> None:
    body = {"inputs": {"source_sentence": "a b", "sentences": ["a b", "c d"]}, "parameters": {}}
    found = api.post("/tei/similarity", body).json()
    assert np.allclose(found, [1.0, vector_of("a b") @ vector_of("c d")], atol=1e-5)


# -- predict ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("inputs", "shape"),
    [
        ("so positive", ["positive"]),
        (["so positive"], ["positive"]),
        (["query", "so positive"], ["positive"]),
        ([["negative"], ["query", "positive"]], [["negative"], ["positive"]]),
    ],
    ids=["text", "list of one", "pair", "batch"],
)
def test_predict_takes_texts_pairs_and_batches(api: ApiClient, inputs: Any, shape: Any) -> None:
    found = api.post("/tei/predict", {"inputs": inputs}).json()
    best = [row[0]["label"] for row in found] if isinstance(found[0], list) else [found[0]["label"]]
    assert best == [one[0] if isinstance(one, list) else one for one in shape]
    assert isinstance(found[0], list) is isinstance(shape[0], list)


def test_scores_are_probabilities_best_first_or_raw(api: ApiClient) -> None:
    scores = [one["score"] for one in api.post("/tei/predict", {"inputs": "positive"}).json()]
    raw = api.post("/tei/predict", {"inputs": "positive", "raw_scores": True}).json()
    assert scores == sorted(scores, reverse=True)
    assert abs(sum(scores) - 1) < 1e-9
    assert [(one["label"], one["score"]) for one in raw] == [("positive", 10.0), ("negative", 0.0), ("neutral", 0.0)]


def test_the_hubs_client_gets_a_list_of_lists_and_its_parameters(api: ApiClient) -> None:
    body = {"inputs": "positive", "parameters": {"top_k": 1, "function_to_apply": "sigmoid"}}
    found = api.post("/tei/predict", body).json()
    assert [[one["label"] for one in row] for row in found] == [["positive"]]
    assert abs(found[0][0]["score"] - 1 / (1 + np.exp(-10))) < 1e-9


# -- rerank ----------------------------------------------------------------------------------------------------------
def test_rerank_orders_by_relevance(api: ApiClient) -> None:
    body = {"query": "red fast car", "texts": ["slow boat", "red fast car", "red boat"]}
    found = api.post("/tei/rerank", body).json()
    assert [one["index"] for one in found] == [1, 2, 0]
    assert np.allclose([one["score"] for one in found], [1 / (1 + np.exp(-x)) for x in (2.0, 0.0, -1.0)])
    assert set(found[0]) == {"index", "score"}


def test_rerank_gives_raw_scores_and_texts_on_request(api: ApiClient) -> None:
    body = {"query": "red car", "texts": ["boat", "red car"], "raw_scores": True, "return_text": True}
    assert api.post("/tei/rerank", body).json() == [
        {"index": 1, "text": "red car", "score": 1.0},
        {"index": 0, "text": "boat", "score": -1.0},
    ]


# -- token classification --------------------------------------------------------------------------------------------
def test_spans_have_the_fields_that_the_hubs_client_reads(api: ApiClient) -> None:
    assert api.post("/tei/token_classification", {"inputs": "is Ana at ACME", "parameters": {}}).json() == [
        {"entity_group": "PER", "score": 0.9, "word": "Ana", "start": 3, "end": 6},
        {"entity_group": "ORG", "score": 0.9, "word": "ACME", "start": 10, "end": 14},
    ]


def test_a_batch_of_texts_gives_a_list_each_without_the_unwanted_labels(api: ApiClient) -> None:
    body = {"inputs": ["is Ana at ACME", "x"], "parameters": {"ignore_labels": ["ORG"], "aggregation_strategy": "max"}}
    found = api.post("/tei/token_classification", body).json()
    assert [[one["word"] for one in row] for row in found] == [["Ana"], []]


# -- one address for all ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/tei", "/tei/"])
@pytest.mark.parametrize(
    ("query", "body", "key"),
    [
        ("", {"inputs": "a"}, ""),
        ("?model=other/vectors", {"inputs": "a"}, ""),
        ("", {"inputs": {"source_sentence": "a", "sentences": ["b"]}}, ""),
        ("", {"query": "a", "texts": ["b"]}, "index"),
        ("?model=ranks", {"query": "a", "texts": ["b"]}, "index"),
        ("?model=moods", {"inputs": "a"}, "label"),
        ("", {"inputs": "a", "model": "moods"}, "label"),
        ("?model=names", {"inputs": "Ana"}, "entity_group"),
    ],
    ids=str,
)
def test_the_root_does_what_the_named_model_is_for(
    api: ApiClient, path: str, query: str, body: dict[str, Any], key: str
) -> None:
    first = api.post(path + query, body).json()[0]
    assert key in first if key else isinstance(first, list | float)


def test_the_model_may_be_named_in_body_or_query(api: ApiClient, models: FakeModels) -> None:
    api.post("/tei/embed", {"inputs": "a", "model": "other/vectors"})
    api.post("/tei/embed?model=other/vectors", {"inputs": "a"})
    api.post("/tei/embed", {"inputs": "a"})
    assert models.models == ["other/vectors", "other/vectors", EMBEDDING]


# -- refusals --------------------------------------------------------------------------------------------------------
LONG = "word " * 300


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("embed", {"inputs": []}, (400, "empty")),
        ("embed", {"inputs": ""}, (400, "empty")),
        ("embed", {"inputs": ["a", ""]}, (400, "empty")),
        ("rerank", {"query": "a", "texts": []}, (400, "empty")),
        ("rerank", {"query": "", "texts": ["a"]}, (400, "empty")),
        ("predict", {"inputs": []}, (400, "empty")),
        ("predict", {"inputs": [["a", ""]]}, (400, "empty")),
        ("token_classification", {"inputs": []}, (400, "empty")),
        ("similarity", {"inputs": {"source_sentence": "a", "sentences": []}}, (400, "empty")),
        ("embed", {"inputs": ["a"] * 257}, (413, "validation")),
        ("rerank", {"query": "a", "texts": ["a"] * 257}, (413, "validation")),
        ("embed", {"inputs": LONG}, (413, "validation")),
        ("predict", {"inputs": LONG}, (413, "validation")),
        ("rerank", {"query": "a", "texts": [LONG]}, (413, "validation")),
        ("token_classification", {"inputs": LONG}, (413, "validation")),
        ("embed", {}, (422, "validation")),
        ("embed", {"inputs": 5}, (422, "validation")),
        ("embed", {"inputs": [1, 2]}, (422, "validation")),
        ("embed", {"inputs": "a", "frobnicate": 1}, (422, "validation")),
        ("embed", {"inputs": "a", "prompt_name": "query"}, (422, "validation")),
        ("embed", {"inputs": "a", "normalize": False}, (422, "validation")),
        ("embed", {"inputs": "a", "dimensions": 10_000}, (422, "validation")),
        ("embed", {"inputs": "a", "truncate": True, "truncation_direction": "Left"}, (422, "validation")),
        ("predict", {"inputs": ["a", "b", "c"]}, (422, "validation")),
        ("token_classification", {"inputs": "a", "parameters": {"aggregation_strategy": "none"}}, (422, "validation")),
        ("token_classification", {"inputs": "a", "parameters": {"stride": 5}}, (422, "validation")),
        ("embed", {"inputs": "a", "model": "nope"}, (404, "not_found")),
        ("embed", {"inputs": "a", "model": "moods"}, (424, "backend")),
        ("predict", {"inputs": "a", "model": EMBEDDING}, (424, "backend")),
        ("", {"inputs": "a", "model": CHAT}, (424, "backend")),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_refusal_has_teis_status_and_type(
    api: ApiClient, path: str, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert refused(api.post(f"/tei/{path}", body)) == expected


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("embed", {"inputs": LONG}),
        ("predict", {"inputs": LONG}),
        ("rerank", {"query": "a", "texts": [LONG]}),
        ("token_classification", {"inputs": LONG}),
        ("similarity", {"inputs": {"source_sentence": LONG, "sentences": ["a"]}}),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_long_text_is_cut_on_request(api: ApiClient, path: str, body: dict[str, Any]) -> None:
    cut = {"parameters": {"truncate": True}} if path == "similarity" else {"truncate": True}
    assert api.post(f"/tei/{path}", {**body, **cut}).status_code == 200


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Busy(), (429, "overloaded")),
        (Unavailable(), (503, "unhealthy")),
        (Unavailable(code="model_unavailable"), (503, "unhealthy")),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_an_engine_that_refuses_says_when_to_come_back(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch, error: Exception, expected: tuple[int, str]
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    monkeypatch.setattr("apps.model_api.vectors.embed_texts", fail)
    answer = api.post("/tei/embed", {"inputs": "a"})
    assert refused(answer) == expected
    assert int(answer.headers["Retry-After"]) >= 1


# -- what it says of itself ------------------------------------------------------------------------------------------
def test_info_says_the_limits_that_hold(api: ApiClient) -> None:
    found = api.get("/tei/info").json()
    assert (found["model_id"], found["max_input_length"]) == (EMBEDDING, 256)
    assert (found["max_client_batch_size"], found["auto_truncate"]) == (256, False)
    assert found["max_concurrent_requests"] == 128
    assert api.get("/tei/info?model=moods").json()["model_type"] == {
        "classifier": {
            "id2label": {"0": "negative", "1": "neutral", "2": "positive"},
            "label2id": {"negative": 0, "neutral": 1, "positive": 2},
        }
    }


@pytest.mark.parametrize(("ready", "status"), [(["chat"], 200), ([], 503)])
def test_health_needs_no_key_and_tells_the_truth(
    db: None, monkeypatch: pytest.MonkeyPatch, ready: list[str], status: int
) -> None:
    monkeypatch.setattr("apps.model_api.tei.views.engine_ready", lambda: ready)
    assert Client(headers={"Host": "127.0.0.1"}).get("/tei/health").status_code == status


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("predict", {"inputs": "a"}),
        ("rerank", {"query": "a", "texts": ["b"]}),
        ("token_classification", {"inputs": "a"}),
    ],
)
def test_an_installation_without_a_model_of_the_role_says_so(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, Any]
) -> None:
    known = catalogue()
    defaults = {role: known.defaults[role] for role in ("chat", "embedding")}
    monkeypatch.setattr("apps.inference.services.models.catalogue", lambda: replace(known, defaults=defaults))
    answer = api.post(f"/tei/{path}", body)
    assert refused(answer) == (424, "backend")
    assert "has no" in answer.json()["error"]
