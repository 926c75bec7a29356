"""Languages of many texts at once, beside the library that reads one after the other."""

from __future__ import annotations

import pytest
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from apps.nlp.evaluation.report import tsv_read
from apps.translation.services.language import language_of, languages_of
from apps.translation.services.language_walk import LanguageWalk
from tests.odd_texts import odd_texts

LABELLED = [text for _, text in tsv_read("languages.tsv")]
ODD = [text.encode("utf-8", "replace").decode() for text in odd_texts()]


@pytest.mark.parametrize("texts", [LABELLED, ODD, [" ".join(LABELLED)], ["OLÁ, BOM DIA A TODOS"]])
def test_many_texts_are_judged_as_each_alone(texts: list[str]) -> None:
    alone = [language_of(text) for text in texts]
    together = languages_of(texts)
    assert [code for code, _ in together] == [code for code, _ in alone]
    assert [sure for _, sure in together] == pytest.approx([sure for _, sure in alone], abs=2e-4)


def test_a_text_is_judged_alike_in_any_company() -> None:
    assert languages_of(LABELLED[::-1])[::-1] == languages_of(LABELLED)
    assert [languages_of([text])[0] for text in LABELLED] == languages_of(LABELLED)


def test_what_has_no_letter_has_no_language() -> None:
    assert languages_of(["", "12:30", "Guten Morgen zusammen"]) == [
        ("und", 0.0),
        ("und", 0.0),
        language_of("Guten Morgen zusammen"),
    ]
    assert languages_of([]) == []


def test_a_language_in_two_scripts_is_one() -> None:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    walk = LanguageWalk(identifier)
    assert sorted(walk.languages) == sorted(identifier.labels)
    assert len(walk.languages) < len(identifier.nb_classes)
    assert walk.probabilities(["Добар дан", "Dobar dan"]).sum(axis=1) == pytest.approx([1, 1], abs=1e-5)
