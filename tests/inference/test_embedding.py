"""Sentence embeddings with the real model."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from apps.inference.catalogue import MINILM, catalogue_load
from apps.inference.engine.backends import sentence_embed
from apps.inference.engine.backends.sentence_embed import SentenceEmbedder
from apps.inference.engine.batching import BatchRunner
from apps.inference.engine.errors import DeadlineExceeded, ModelUnavailable, Overloaded
from apps.inference.engine.host import EngineHost
from apps.inference.engine.precedence import Precedence
from apps.inference.engine.types import EngineConfig
from apps.inference.engine.weights import weights_locate
from bench.texts import texts
from tests.inference.backends import tiny

pytestmark = pytest.mark.models

TEXTS = [f"The maintainer closes bug {n} with an upload. " * (1 + n % 9) for n in range(40)]


def test_rows_are_unit_vectors_in_input_order(host: EngineHost) -> None:
    vectors = host.embed(TEXTS, deadline_s=60).vectors
    assert vectors.shape == (40, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_text_alone_and_in_a_batch_agree(host: EngineHost) -> None:
    together = host.embed(TEXTS, deadline_s=60).vectors
    alone = np.stack([host.embed([text], deadline_s=60).vectors[0] for text in TEXTS])
    assert (together * alone).sum(axis=1).min() >= 0.99999


def test_same_input_gives_the_same_vectors(host: EngineHost) -> None:
    first, second = (host.embed(TEXTS, deadline_s=60).vectors for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_500_texts_are_the_same_alone_in_batches_and_after_a_restart(host: EngineHost, data_dir: Path) -> None:
    given = texts(500)
    catalogue = catalogue_load()
    again = EngineHost(catalogue.models, catalogue.defaults, EngineConfig(data_dir))
    alone = np.stack([host.embed([text], deadline_s=60).vectors[0] for text in given])
    batches = [again.embed(given[start : start + 32], deadline_s=60).vectors for start in range(0, 500, 32)]
    assert (alone * np.concatenate(batches)).sum(axis=1).min() >= 0.99999
    singly = [host.run("classifier", [text], deadline_s=60).values[0].argmax() for text in given]
    at_once = [row.argmax() for start in range(0, 500, 32) for row in _logits(again, given[start : start + 32])]
    again.stop()
    assert singly == at_once


def test_a_batch_gives_way(data_dir: Path) -> None:
    embedder = SentenceEmbedder(MINILM, weights_locate(MINILM), EngineConfig(data_dir))
    embedder.load()
    assert tiny.times_given_way(embedder, TEXTS) >= 2
    embedder.stop()


def _logits(host: EngineHost, given: list[str]) -> list[np.ndarray]:
    return list(host.run("classifier", given, deadline_s=60).values)


def test_vectors_agree_with_plain_sentence_transformers(host: EngineHost) -> None:
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(str(weights_locate(MINILM)), device="cpu", local_files_only=True)
    reference = plain.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    assert (host.embed(TEXTS, deadline_s=60).vectors * reference).sum(axis=1).min() >= 0.998


def test_meaning_is_near(host: EngineHost) -> None:
    question, near, far = host.embed(
        ["How do I get my money back?", "Refunds are paid within 30 days.", "The museum opens at nine."], deadline_s=30
    ).vectors
    assert question @ near > question @ far + 0.2


def test_long_texts_are_flagged(host: EngineHost) -> None:
    result = host.embed(["short", "word " * 1000, "short again"], deadline_s=30)
    assert result.truncated == (1,)


@pytest.mark.parametrize("text", ["", " ", "\x00", "你好", "🚢" * 2000, "a" * 100_000])
def test_odd_texts_have_vectors(host: EngineHost, text: str) -> None:
    vectors = host.embed([text], deadline_s=30).vectors
    assert np.isfinite(vectors).all()


def test_concurrent_callers_get_their_own_rows(host: EngineHost) -> None:
    expected = host.embed(TEXTS, deadline_s=60).vectors
    got: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda n=n: got.__setitem__(n, host.embed([TEXTS[n]], deadline_s=60).vectors[0]))
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert min(float(got[n] @ expected[n]) for n in range(16)) >= 0.99999


def test_a_model_that_cannot_be_compiled_is_computed_by_torch(
    host: EngineHost, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentence_embed, "graphs_compile", lambda *_, **__: None)
    embedder = SentenceEmbedder(MINILM, weights_locate(MINILM), EngineConfig(data_dir))
    embedder.load()
    plain = np.stack(embedder.run(embedder.prepare(TEXTS)))
    embedder.stop()
    assert (plain * host.embed(TEXTS, deadline_s=60).vectors).sum(axis=1).min() > 0.9995


def test_live_query_overtakes_a_batch(host: EngineHost) -> None:
    done: list[str] = []
    batch = threading.Thread(
        target=lambda: (host.embed(["long text " * 200] * 200, deadline_s=120, priority="batch"), done.append("batch"))
    )
    batch.start()
    time.sleep(0.1)
    host.embed(["How do I close a bug?"], deadline_s=60, priority="live")
    done.append("live")
    batch.join()
    assert done == ["live", "batch"]


def test_deadline_ends_the_wait_and_the_work(host: EngineHost) -> None:
    with pytest.raises(DeadlineExceeded):
        host.embed(["long text " * 200] * 200, deadline_s=0.2, priority="batch")
    host.embed(["after"], deadline_s=30, priority="batch")
    counters = host.info()["models"][MINILM.name]
    assert counters["expired"] > 0
    assert sum(counters["queued"].values()) == 0


def runner_of(data_dir: Path, max_queued: int = 64) -> BatchRunner:
    embedder = SentenceEmbedder(MINILM, weights_locate(MINILM), EngineConfig(data_dir))
    runner = BatchRunner(MINILM.name, embedder, budget_tokens=4096, max_queued=max_queued, precedence=Precedence())
    runner.load()
    return runner


def test_queue_has_a_bound_that_leaves_room_for_live_work(data_dir: Path) -> None:
    runner = runner_of(data_dir, max_queued=8)
    with pytest.raises(Overloaded):
        runner.run(["x"] * 7, deadline_s=5, priority="batch", tenant="a")
    assert len(runner.run(["x"] * 7, deadline_s=5, priority="live", tenant="a").values) == 7
    runner.stop()


def test_stopped_model_says_so(data_dir: Path) -> None:
    runner = runner_of(data_dir)
    runner.stop()
    assert not runner.health()
    with pytest.raises(ModelUnavailable):
        runner.run(["x"], deadline_s=5, priority="live", tenant="a")
