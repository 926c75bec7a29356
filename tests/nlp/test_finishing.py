"""What a draft loses before anybody reads it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from apps.nlp.services.finishing import draft_finish
from apps.nlp.services.generate import language_code
from apps.nlp.services.running import nlp_run
from apps.translation.services.language import language_of

# The first call loads the models.
run = partial(nlp_run, deadline_s=300)


@pytest.mark.parametrize(
    ("draft", "length", "left"),
    [
        ("One. Two. Three.", "short", "One. Two."),
        ("Dear Anna,\n\nOne. Two. Three.", "short", "Dear Anna,\n\nOne. Two."),
        ("One. Two. Three.", "long", "One. Two. Three."),
        ("Dear Anna,\n\nOne. Two.\n\nThree.\n\nAcme", "medium", "Dear Anna,\n\nOne. Two. Three.\n\nAcme"),
        ("One.\n\nTwo.\n\nThree.", "long", "One.\n\nTwo.\n\nThree."),
        ("The shop opens. It has a garden and a", "long", "The shop opens."),
        ("The shop opens. #leeds", "medium", "The shop opens. #leeds"),
        ("Thank you.\n\nBest regards,\n[Your Name]", "medium", "Thank you."),
        ("Dear [Customer],\nthank you.", "medium", "thank you."),
        (
            "no end at all, however long this one sentence is",
            "short",
            "no end at all, however long this one sentence is",
        ),
        ("[Your text here]", "short", "[Your text here]"),
        ("", "short", ""),
    ],
)
def test_what_the_model_left_open_goes_and_the_length_is_kept(draft: str, length: str, left: str) -> None:
    assert draft_finish(draft, brief="A shop opens.", length=length) == left


def test_brackets_of_the_brief_stay() -> None:
    assert draft_finish("Use code [A1].", brief="The code is [A1]", length="short") == "Use code [A1]."


@pytest.mark.parametrize(
    ("name", "code"),
    [("Portuguese", "pt"), ("brazilian portuguese", "pt"), ("pt-BR", "pt"), ("en", "en"), ("", ""), ("Klingonese", "")],
)
def test_languages_are_known_by_name_and_code(name: str, code: str) -> None:
    assert language_code(name) == code


@pytest.mark.models
def test_a_language_that_the_model_does_not_write_is_translated(models: Any, tenant: Any) -> None:
    options = {"template": "announcement", "length": "short", "language": "Portuguese", "seed": 3, "variants": 2}
    [found] = run(tenant_id=tenant.id, task="generate", texts=["The shop is closed on Sunday."], options=options)
    assert [language_of(text)[0] for text in found["texts"]] == ["pt", "pt"]


@pytest.mark.models
def test_a_language_that_nothing_translates_into_is_asked_of_the_model(models: Any, tenant: Any) -> None:
    options = {"template": "announcement", "length": "short", "language": "Icelandic", "seed": 3}
    [found] = run(tenant_id=tenant.id, task="generate", texts=["The shop is closed on Sunday."], options=options)
    assert len(found["texts"]) == 1
