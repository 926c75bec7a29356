"""Encoders from a folder: the answers of transformers itself, in batches, for any input."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from apps.inference.engine.backends.transformers_encoder import (
    TransformersClassifier,
    TransformersReranker,
    TransformersTagger,
)
from apps.inference.engine.errors import EngineError, ModelUnavailable
from apps.inference.engine.types import BatchItem, EngineConfig, Span, TranslateItem
from tests.inference.backends import tiny

PAIRS = [("Where is my order?", text) for text in tiny.TEXTS]


def loaded(kind: Any, folder: Path, role: Any, **changes: Any) -> Any:
    backend = kind(tiny.spec_of(folder, role, **changes), folder, tiny.config_of(folder.parent))
    backend.load()
    return backend


def run(backend: Any, items: Sequence[BatchItem], size: int = 32) -> list[Any]:
    """As the host does it: prepared together, shortest first, in batches of `size`."""
    prepared = backend.prepare(items)
    order = sorted(range(len(items)), key=lambda index: prepared[index].size)
    values: list[Any] = [None] * len(items)
    for begin in range(0, len(order), size):
        part = order[begin : begin + size]
        for index, value in zip(part, backend.run([prepared[i] for i in part]), strict=True):
            values[index] = value
    return values


def reference_logits(folder: Path, items: Sequence[Any]) -> np.ndarray:
    """Logits of transformers in float32, one item at a time, without padding."""
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rows = []
    for item in items:
        text = item if isinstance(item, tuple) else (item,)
        with torch.no_grad():
            rows.append(model(**tokenizer(*text, truncation=True, return_tensors="pt")).logits[0].numpy())
    return np.stack(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.classifier(tmp_path_factory.mktemp("models") / "classifier")


@pytest.fixture(scope="module")
def classifier(folder: Path) -> TransformersClassifier:
    return loaded(TransformersClassifier, folder, "classifier")


@pytest.fixture(scope="module")
def exact(folder: Path) -> TransformersClassifier:
    return loaded(TransformersClassifier, folder, "classifier", options={"dtype": "float32"})


@pytest.fixture(scope="module")
def ner_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.tagger(tmp_path_factory.mktemp("models") / "tagger")


@pytest.fixture(scope="module")
def tagger(ner_folder: Path) -> TransformersTagger:
    return loaded(TransformersTagger, ner_folder, "tagger", options={"dtype": "float32"})


# -- classifier ------------------------------------------------------------------------------------------------------
def test_logits_are_those_of_transformers(exact: TransformersClassifier, folder: Path) -> None:
    got = np.stack(run(exact, tiny.TEXTS))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, reference_logits(folder, tiny.TEXTS), atol=1e-4)


def test_labels_are_those_of_the_float32_pipeline(classifier: TransformersClassifier, folder: Path) -> None:
    words = " ".join(tiny.TEXTS).split()
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(words, rng.integers(1, 30))) for _ in range(400)]
    pipeline = transformers.pipeline("text-classification", model=str(folder), dtype=torch.float32, device="cpu")
    expected = [one["label"] for one in pipeline(texts, truncation=True, batch_size=32)]
    got = [classifier.labels[row.argmax()] for row in run(classifier, texts)]
    assert sum(a == b for a, b in zip(got, expected, strict=True)) >= 0.995 * len(texts)


def test_batch_of_one_and_batch_of_32_agree(classifier: TransformersClassifier) -> None:
    texts = [f"{text} {number}" for number in range(8) for text in tiny.TEXTS]
    alone, together = np.stack(run(classifier, texts, 1)), np.stack(run(classifier, texts, 32))
    assert alone.argmax(1).tolist() == together.argmax(1).tolist()
    np.testing.assert_allclose(alone, together, atol=0.15)


def test_float32_alone_and_in_a_batch_are_close(exact: TransformersClassifier) -> None:
    alone, together = np.stack(run(exact, tiny.TEXTS, 1)), np.stack(run(exact, tiny.TEXTS, 32))
    np.testing.assert_allclose(alone, together, atol=1e-4)


def test_pairs_are_read_as_pairs(exact: TransformersClassifier, folder: Path) -> None:
    np.testing.assert_allclose(np.stack(run(exact, PAIRS)), reference_logits(folder, PAIRS), atol=1e-4)


def test_labels_come_from_the_configuration(classifier: TransformersClassifier) -> None:
    assert classifier.labels == ("negative", "neutral", "positive")


def test_labels_of_the_catalogue_win(folder: Path) -> None:
    backend = loaded(TransformersClassifier, folder, "classifier", labels=("bad", "so so", "good"))
    assert backend.labels == ("bad", "so so", "good")


def test_wrong_number_of_labels_is_refused(folder: Path) -> None:
    with pytest.raises(ModelUnavailable, match="lists 2 labels, the model has 3"):
        loaded(TransformersClassifier, folder, "classifier", labels=("bad", "good"))


def test_long_text_is_cut_on_the_right_and_flagged(exact: TransformersClassifier) -> None:
    short, long = exact.prepare(["ok", "Berlin " * 500])
    assert (short.truncated, long.truncated, long.size) == (False, True, 64)
    cut = exact.prepare(["Berlin " * 500 + "Munich"])
    np.testing.assert_array_equal(exact.run([long])[0], exact.run(cut)[0])


@pytest.mark.parametrize("text", tiny.ODD_TEXTS, ids=tiny.name_of)
def test_odd_text_has_finite_logits(classifier: TransformersClassifier, text: str) -> None:
    assert np.isfinite(run(classifier, [text, "ok"])).all()


def test_line_of_a_megabyte_is_cut(classifier: TransformersClassifier) -> None:
    assert classifier.prepare([tiny.LINE_OF_A_MEGABYTE])[0].truncated


@pytest.mark.parametrize("item", ["\ud800", TranslateItem("ok"), ("a", "b", "c")], ids=repr)
def test_item_of_the_wrong_kind_is_an_error(classifier: TransformersClassifier, item: Any) -> None:
    with pytest.raises(EngineError):
        classifier.prepare([item])


def test_many_threads_may_tokenise(classifier: TransformersClassifier) -> None:
    expected = [one.size for one in classifier.prepare(tiny.TEXTS)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: [one.size for one in classifier.prepare(tiny.TEXTS)], range(64)))
    assert found == [expected] * 64


def test_multi_label_decisions_are_those_of_float32(tmp_path: Path) -> None:
    folder = tiny.classifier(tmp_path / "multi", problem_type="multi_label_classification")
    backend = loaded(TransformersClassifier, folder, "classifier")
    texts = [f"{text} {number}" for number in range(20) for text in tiny.TEXTS]
    assert ((np.stack(run(backend, texts)) > 0) == (reference_logits(folder, texts) > 0)).mean() >= 0.995


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_parts_on_several_threads_give_the_same(folder: Path, exact: TransformersClassifier, count: int) -> None:
    spec = tiny.spec_of(folder, "classifier", options={"dtype": "float32"})
    backend = TransformersClassifier(spec, folder, EngineConfig(folder.parent, threads=3))
    backend.load()
    texts = [f"{tiny.TEXTS[3]} {number}" for number in range(count)]
    np.testing.assert_allclose(np.stack(run(backend, texts)), np.stack(run(exact, texts)), atol=1e-4)
    backend.stop()


# -- loading ---------------------------------------------------------------------------------------------------------
def test_encoder_without_a_head_is_refused(tmp_path: Path) -> None:
    folder = tiny.classifier(tmp_path / "headless")
    transformers.BertModel.from_pretrained(folder).save_pretrained(folder)
    with pytest.raises(ModelUnavailable, match=r"lack classifier\.bias.*is it a classifier model"):
        loaded(TransformersClassifier, folder, "classifier")


@pytest.mark.parametrize("options", [{"device": "cuda:7"}, {"device": "abacus"}, {"dtype": "float1"}], ids=str)
def test_unknown_device_or_dtype_is_refused(folder: Path, options: dict[str, str]) -> None:
    with pytest.raises(ModelUnavailable, match=next(iter(options.values()))):
        loaded(TransformersClassifier, folder, "classifier", options=options)


def test_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = tiny.classifier(tmp_path / "mute")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(ModelUnavailable, match="holds no tokenizer"):
        loaded(TransformersClassifier, folder, "classifier")


def test_length_in_the_catalogue_is_respected(folder: Path) -> None:
    backend = loaded(TransformersClassifier, folder, "classifier", context_tokens=16)
    assert backend.prepare(["Berlin " * 500])[0].size == 16


# -- reranker --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("outputs", [1, 2])
def test_reranker_gives_the_logit_of_relevance(tmp_path: Path, outputs: int) -> None:
    folder = tiny.classifier(tmp_path / "reranker", tuple(map(str, range(outputs))))
    backend = loaded(TransformersReranker, folder, "reranker", options={"dtype": "float32"})
    reference = reference_logits(folder, PAIRS)
    expected = reference[:, -1] - (reference[:, 0] if outputs == 2 else 0.0)
    got = run(backend, PAIRS)
    assert {type(value) for value in got} == {float}
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_reranker_of_three_outputs_is_refused(folder: Path) -> None:
    with pytest.raises(ModelUnavailable, match="one or two outputs"):
        loaded(TransformersReranker, folder, "reranker")


def test_reranker_cuts_long_texts_and_flags_them(tmp_path: Path) -> None:
    folder = tiny.classifier(tmp_path / "reranker", ("relevance",))
    backend = loaded(TransformersReranker, folder, "reranker")
    assert [one.truncated for one in backend.prepare([("q", "t"), ("q", "t " * 100)])] == [False, True]


# -- tagger ----------------------------------------------------------------------------------------------------------
def from_pipeline(folder: Path, texts: Sequence[str]) -> list[list[tuple[int, int, str]]]:
    pipeline = transformers.pipeline(
        "token-classification", model=str(folder), aggregation_strategy="simple", dtype=torch.float32, device="cpu"
    )
    return [[(one["start"], one["end"], one["entity_group"]) for one in found] for found in pipeline(list(texts))]


def places(spans: Sequence[Span]) -> list[tuple[int, int, str]]:
    return [(span.start, span.end, span.label) for span in spans]


def test_spans_are_those_of_the_pipeline(tagger: TransformersTagger, ner_folder: Path) -> None:
    assert [places(spans) for spans in run(tagger, tiny.TEXTS)] == from_pipeline(ner_folder, tiny.TEXTS)


def test_scores_are_those_of_the_pipeline(tagger: TransformersTagger, ner_folder: Path) -> None:
    pipeline = transformers.pipeline(
        "token-classification", model=str(ner_folder), aggregation_strategy="simple", dtype=torch.float32, device="cpu"
    )
    expected = [one["score"] for one in pipeline(tiny.TEXTS[3])]
    np.testing.assert_allclose([span.score for span in run(tagger, [tiny.TEXTS[3]])[0]], expected, atol=1e-4)


def test_bfloat16_finds_the_spans_of_float32(ner_folder: Path, tagger: TransformersTagger) -> None:
    backend = loaded(TransformersTagger, ner_folder, "tagger")
    assert [places(spans) for spans in run(backend, tiny.TEXTS)] == [places(s) for s in run(tagger, tiny.TEXTS)]


@pytest.mark.parametrize("text", ["👩‍👩‍👧‍👦 Obama 😀 Berlin", "e\u0301 Obama", "مرحبا Berlin", "a\0b Obama"], ids=ascii)
def test_offsets_are_code_points_of_the_original_text(tagger: TransformersTagger, text: str) -> None:
    spans = run(tagger, [text])[0]
    assert [span.text for span in spans] == [text[span.start : span.end] for span in spans]
    assert [span.text for span in spans] == [span.text.strip() for span in spans]


@pytest.mark.parametrize("text", tiny.ODD_TEXTS, ids=tiny.name_of)
def test_odd_text_is_tagged(tagger: TransformersTagger, text: str) -> None:
    assert all(0 <= span.start < span.end <= len(text) and 0 < span.score <= 1 for span in run(tagger, [text])[0])


def test_empty_text_has_no_spans(tagger: TransformersTagger) -> None:
    assert run(tagger, [""]) == [()]


def test_tagger_labels_are_the_names_without_prefixes(tagger: TransformersTagger) -> None:
    assert tagger.labels == ("PER", "LOC")


def test_windows_of_a_long_text_hold_each_token_once(tagger: TransformersTagger) -> None:
    text = " ".join(tiny.TEXTS * 5)
    windows = tagger.prepare([text])[0].payload
    seen = np.concatenate([o[mask] for o, mask in zip(windows.offsets, windows.content, strict=True)])
    whole = transformers.AutoTokenizer.from_pretrained(tagger._path)(
        text, return_offsets_mapping=True, add_special_tokens=False, truncation=False
    )
    assert len(windows.rows) > 3
    assert seen.tolist() == [list(pair) for pair in whole["offset_mapping"]]


def test_long_text_is_tagged_to_its_end(tagger: TransformersTagger) -> None:
    text = " ".join(tiny.TEXTS * 5)
    prepared = tagger.prepare([text])[0]
    assert not prepared.truncated
    # One window holds less than a third of the text. Which of the last words are tagged is up to random weights.
    assert tagger.run([prepared])[0][-1].end > len(text) * 0.75


def test_text_of_too_many_windows_is_cut_and_flagged(tagger: TransformersTagger) -> None:
    prepared = tagger.prepare([tiny.LINE_OF_A_MEGABYTE])[0]
    assert prepared.truncated
    assert len(prepared.payload.rows) == 16


def test_tagger_alone_and_in_a_batch_agree(tagger: TransformersTagger) -> None:
    texts = [*tiny.TEXTS, " ".join(tiny.TEXTS * 4)]
    assert [places(s) for s in run(tagger, texts, 1)] == [places(s) for s in run(tagger, texts, 32)]


def test_label_names_may_be_changed_by_the_catalogue(ner_folder: Path) -> None:
    names = json.loads((ner_folder / "config.json").read_text())["id2label"]
    renamed = tuple(name.replace("PER", "PERSON") for name in names.values())
    assert loaded(TransformersTagger, ner_folder, "tagger", labels=renamed).labels == ("PERSON", "LOC")


def test_batch_gives_way(classifier: TransformersClassifier) -> None:
    assert tiny.times_given_way(classifier, tiny.TEXTS) >= 1


def test_tagging_gives_way(tagger: TransformersTagger) -> None:
    assert tiny.times_given_way(tagger, tiny.TEXTS) >= 1
