"""Remote embeddings, rerankers and classifiers against a server of this suite. Not run against a real TEI or vLLM."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.core.egress import model_server_transport
from apps.inference.engine.backends import remote_link
from apps.inference.engine.backends.remote_batch import RemoteBatch
from apps.inference.engine.errors import EngineError, ModelUnavailable, Overloaded, Unsupported
from apps.inference.engine.types import EngineConfig, ModelSpec, Role
from tests.inference.backends.remote_server import Handler, ModelServer, drop, hang, reply

Make = Callable[..., RemoteBatch]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    running = ModelServer()
    running.on("/health", reply({}))
    yield running
    running.close()


@pytest.fixture
def make(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Returns a loaded backend of the server."""
    monkeypatch.setattr(remote_link, "_FIRST_BACKOFF_S", 0.02)
    made: list[RemoteBatch] = []

    def build(role: Role, *, dim: int = 0, labels: tuple[str, ...] = (), **options: Any) -> RemoteBatch:
        dialect = options.get("dialect", "openai")
        source = f"remote:http://127.0.0.1:{server.port}" + ("/v1" if dialect == "openai" else "")
        options = {"model": "served", "timeout_s": 2.0, "retries": 2, **options}
        spec = ModelSpec("far", role, "remote", source, "", {}, "", 512, dim=dim, labels=labels, options=options)
        backend = RemoteBatch(spec, Path(), EngineConfig(Path(), transport=model_server_transport))
        backend.load()
        made.append(backend)
        return backend

    yield build
    for backend in made:
        backend.stop()


def run(backend: RemoteBatch, *items: Any) -> list[Any]:
    return backend.run(backend.prepare(items))


def computed(handler_body: Callable[[Any], Any], server: ModelServer) -> Callable[[Handler], None]:
    """Answer with what the function makes of the request's body."""

    def behave(handler: Handler) -> None:
        reply(handler_body(server.bodies[-1]))(handler)

    return behave


def number(text: str) -> list[float]:
    """A vector that tells which text it is of."""
    return [float(len(text)), 1.0, 0.0]


def embeddings(body: Any) -> Any:
    """OpenAI's answer, in the form that was asked for, in another order than asked."""
    rows = [
        {"index": index, "embedding": base64.b64encode(np.array(number(text), "<f4").tobytes()).decode()}
        for index, text in enumerate(body["input"])
    ]
    return {"object": "list", "data": rows[::-1], "usage": {"prompt_tokens": 1, "total_tokens": 1}}


def unit(text: str) -> np.ndarray:
    vector = np.array(number(text), dtype=np.float32)
    return vector / np.linalg.norm(vector)


def test_embeddings_by_openai_come_in_order_and_of_unit_length(make: Make, server: ModelServer) -> None:
    server.on("/v1/embeddings", computed(embeddings, server))
    got = run(make("embedding", dim=3), "a", "bbb", "cc")
    np.testing.assert_allclose(np.stack(got), np.stack([unit("a"), unit("bbb"), unit("cc")]), atol=1e-6)
    assert (got[0].dtype, server.bodies[-1]) == (
        np.float32,
        {"model": "served", "input": ["a", "bbb", "cc"], "encoding_format": "base64"},
    )


def test_embeddings_as_numbers_are_read_too(make: Make, server: ModelServer) -> None:
    server.on("/v1/embeddings", reply({"data": [{"index": 0, "embedding": [3.0, 4.0]}]}))
    np.testing.assert_allclose(run(make("embedding"), "a")[0], [0.6, 0.8], atol=1e-6)


def test_embeddings_by_tei(make: Make, server: ModelServer) -> None:
    server.on("/embed", computed(lambda body: [number(text) for text in body["inputs"]], server))
    got = run(make("embedding", dialect="tei"), "a", "bbb")
    np.testing.assert_allclose(np.stack(got), np.stack([unit("a"), unit("bbb")]), atol=1e-6)
    assert server.bodies[-1] == {"inputs": ["a", "bbb"], "normalize": True, "truncate": True}


def test_large_batches_are_cut_into_requests_that_run_together(make: Make, server: ModelServer) -> None:
    together: list[int] = []
    gate = threading.Barrier(3, timeout=10)

    def slow(handler: Handler) -> None:
        together.append(gate.wait())
        body = next(body for body in server.bodies if body["inputs"][0] == "first")
        reply([number(text) for text in body["inputs"]])(handler)

    server.on("/embed", slow)
    backend = make("embedding", dialect="tei", batch_size=4, timeout_s=15)
    got = run(backend, *["first"] * 12)
    assert (len(got), len(together), [len(body["inputs"]) for body in server.bodies]) == (12, 3, [4, 4, 4])


def ranked(body: Any) -> Any:
    """TEI sorts by score, best first."""
    rows = [{"index": index, "score": float(len(text))} for index, text in enumerate(body["texts"])]
    return sorted(rows, key=lambda row: -row["score"])


def test_reranker_by_tei_asks_once_for_each_query(make: Make, server: ModelServer) -> None:
    server.on("/rerank", reply([{"index": 1, "score": 5.0}, {"index": 0, "score": -2.5}]))
    pairs = [("q", "one"), ("r", "two"), ("q", "three"), ("r", "four")]
    got = run(make("reranker", dialect="tei", slots=1), *pairs)
    assert got == [-2.5, -2.5, 5.0, 5.0]
    assert server.bodies == [
        {"query": "q", "texts": ["one", "three"], "raw_scores": True, "truncate": True},
        {"query": "r", "texts": ["two", "four"], "raw_scores": True, "truncate": True},
    ]


def test_reranker_gives_scores_to_their_texts(make: Make, server: ModelServer) -> None:
    server.on("/rerank", computed(ranked, server))
    assert run(make("reranker", dialect="tei"), ("q", "aa"), ("q", "aaaa"), ("q", "a")) == [2.0, 4.0, 1.0]


PREDICTION = [{"label": "pos", "score": 2.0}, {"label": "neg", "score": -1.0}]


def test_classifier_by_tei_orders_its_logits_by_the_labels(make: Make, server: ModelServer) -> None:
    server.on("/predict", reply([PREDICTION, PREDICTION[::-1]]))
    backend = make("classifier", dialect="tei", labels=("neg", "pos"))
    got = run(backend, "good", ("premise", "claim"))
    assert (backend.labels, [list(row) for row in got]) == (("neg", "pos"), [[-1.0, 2.0], [-1.0, 2.0]])
    assert server.bodies[-1] == {"inputs": [["good"], ["premise", "claim"]], "raw_scores": True, "truncate": True}


def test_labels_are_learnt_where_the_entry_has_none(make: Make, server: ModelServer) -> None:
    server.on("/predict", reply([PREDICTION]))
    assert make("classifier", dialect="tei").labels == ("neg", "pos")


def test_labels_that_cannot_be_learnt_are_told(make: Make, server: ModelServer) -> None:
    server.on("/predict", reply({"error": "model is not a classifier", "error_type": "backend"}, 424))
    with pytest.raises(ModelUnavailable, match="labels"):
        make("classifier", dialect="tei")


def test_text_that_is_too_long_does_not_fail_its_neighbours(make: Make, server: ModelServer) -> None:
    def strict(handler: Handler) -> None:
        body = server.bodies[-1]
        if max(map(len, body["input"])) > 300:
            reply({"error": {"message": "maximum context length is 100 tokens"}}, 400)(handler)
        else:
            reply(embeddings(body))(handler)

    server.on("/v1/embeddings", strict)
    got = run(make("embedding", slots=1), "short", "x" * 1000, "also")
    np.testing.assert_allclose(np.stack(got), np.stack([unit("short"), unit("x" * 250), unit("also")]), atol=1e-6)


@pytest.mark.parametrize("first", [reply({}, 429), reply({}, 503), drop])
def test_passing_refusals_are_sent_again(make: Make, server: ModelServer, first: Any) -> None:
    server.on("/embed", first, reply([[1.0, 0.0]]))
    assert list(run(make("embedding", dialect="tei"), "a")[0]) == [1.0, 0.0]


def test_overloaded_server_is_told_as_such(make: Make, server: ModelServer) -> None:
    server.on("/embed", reply({"error": "Model is overloaded", "error_type": "overloaded"}, 429))
    with pytest.raises(Overloaded):
        run(make("embedding", dialect="tei"), "a")


BAD = {
    "too few": [[1.0]],
    "no list": {"data": 1},
    "text": [["a"], ["b"]],
    "not numbers": [[float("nan")], [1.0]],
    "zero": [[0.0, 0.0], [1.0, 0.0]],
    "wrong size": [[1.0, 0.0], [1.0, 0.0]],
    "nested": [[[1.0]], [[1.0]]],
    "empty": [[], []],
}


@pytest.mark.parametrize("name", BAD)
def test_answers_of_another_shape_are_refused(make: Make, server: ModelServer, name: str) -> None:
    server.on("/embed", reply(BAD[name]))
    with pytest.raises(ModelUnavailable, match="no answer"):
        run(make("embedding", dialect="tei", dim=3), "a", "b")


@pytest.mark.parametrize("content", [b"<html>", b"", b"[" * 100_000])
def test_garbage_is_refused_and_opens_the_breaker(make: Make, server: ModelServer, content: bytes) -> None:
    server.on("/embed", reply(content))
    backend = make("embedding", dialect="tei")
    errors = [error_of(backend) for _ in range(6)]
    assert ["keeps failing" in text for text in errors] == [False] * 5 + [True]


def error_of(backend: RemoteBatch) -> str:
    with pytest.raises(EngineError) as caught:
        run(backend, "a")
    return str(caught.value)


def test_hanging_server_is_given_up_in_time(make: Make, server: ModelServer) -> None:
    server.on("/embed", hang(10))
    backend = make("embedding", dialect="tei", timeout_s=0.5)
    began = time.monotonic()
    assert ("stopped sending" in error_of(backend) or "in time" in error_of(backend), time.monotonic() - began < 5) == (
        True,
        True,
    )


def test_stop_frees_whoever_waits(make: Make, server: ModelServer) -> None:
    server.on("/embed", server.until_gone)
    backend = make("embedding", dialect="tei", timeout_s=20)
    told: list[str] = []
    thread = threading.Thread(target=lambda: told.append(error_of(backend)))
    thread.start()
    while not server.requests:
        time.sleep(0.01)
    backend.stop()
    thread.join(5)
    assert (len(told), "stopping" in "".join(told)) == (1, True)


@pytest.mark.parametrize(
    ("role", "item"), [("embedding", ("a", "b")), ("reranker", "a"), ("classifier", ("a", "b", "c")), ("embedding", 5)]
)
def test_items_of_the_wrong_kind_are_refused(make: Make, server: ModelServer, role: Role, item: Any) -> None:
    backend = make(role, dialect="tei", labels=("x",))
    with pytest.raises(Unsupported):
        backend.prepare([item])


def test_size_stands_for_the_length_of_all_texts(make: Make) -> None:
    prepared = make("reranker", dialect="tei").prepare([("a" * 30, "b" * 60)])
    assert [one.size for one in prepared] == [31]


@pytest.mark.parametrize(("role", "dialect"), [("reranker", "openai"), ("tagger", "tei"), ("embedding", "grpc")])
def test_what_a_dialect_cannot_do_is_told(make: Make, role: Role, dialect: str) -> None:
    with pytest.raises(ModelUnavailable, match="known"):
        make(role, dialect=dialect)
