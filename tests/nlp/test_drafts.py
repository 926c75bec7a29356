"""What `manage.py evaluate generate` counts of a written text."""

from __future__ import annotations

import pytest

from apps.nlp.evaluation.drafts import (
    Brief,
    briefs_read,
    facts_kept,
    format_kept,
    language_kept,
    length_kept,
    nothing_invented,
)
from apps.nlp.services.generate import LENGTHS, TEMPLATES, GenerateOptions


def brief(**changed: object) -> Brief:
    given = {"template": "announcement", "tone": "neutral", "length": "short", "language": ""}
    given |= {"facts": ("Leeds", "4 May"), "text": "A store opens in Leeds on 4 May, at 9."}
    return Brief(**(given | changed))  # type: ignore[arg-type]


def test_the_set_has_every_template_and_length_and_asks_what_the_task_takes() -> None:
    found = briefs_read()
    assert {one.template for one in found} == set(TEMPLATES) - {"free"}
    assert {one.length for one in found} == set(LENGTHS)
    assert [GenerateOptions.model_validate(one.options).template for one in found] == [one.template for one in found]
    # A fact that the brief itself lacks could not be kept.
    assert [one.text for one in found if facts_kept(one, one.text) < 1] == []


def test_facts_count_in_whatever_letters_and_spaces() -> None:
    assert facts_kept(brief(), "LEEDS has a shop from 4\nMay on.") == 1
    assert facts_kept(brief(), "Leeds has a shop.") == 0.5


@pytest.mark.parametrize(("draft", "kept"), [("On 4 May at 9.", True), ("On 4 May at 9.30.", False), ("Soon.", True)])
def test_a_number_that_the_brief_lacks_is_invented(draft: str, kept: bool) -> None:
    assert nothing_invented(brief(), draft) is kept


@pytest.mark.parametrize(
    ("length", "draft", "kept"),
    [
        ("short", "One. Two.", True),
        ("short", "One. Two. Three.", False),
        ("medium", "Dear Anna,\n\nOne. Two. Three.", True),
        ("medium", "One.\n\nTwo.", False),
        ("long", "One.\n\nTwo.\n\nThree.", True),
        ("long", "One. Two. Three.", False),
    ],
)
def test_lengths_are_sentences_and_paragraphs(length: str, draft: str, kept: bool) -> None:
    assert length_kept(brief(length=length), draft) is kept


def test_the_language_is_that_which_was_asked_for() -> None:
    portuguese = brief(language="Portuguese")
    assert language_kept(portuguese, "A loja abre na segunda-feira, às nove horas da manhã.")
    assert not language_kept(portuguese, "The shop opens on Monday at nine in the morning.")


@pytest.mark.parametrize(
    ("draft", "kept"),
    [
        ("The shop opens on 4 May.", True),
        ("Come and see us! #leeds 🎉", True),
        ("The shop opens on", False),
        ("Dear [Name], the shop opens.", False),
        ("Brief: the shop opens.", False),
        ("# Opening\nThe shop opens.", False),
        ("- The shop opens.", False),
    ],
)
def test_what_cannot_be_sent_is_told(draft: str, kept: bool) -> None:
    assert format_kept(brief(), draft) is kept


def test_a_post_has_its_limit() -> None:
    long = "We open. " * 40
    assert format_kept(brief(), long.strip())
    assert not format_kept(brief(template="social_post"), long.strip())
