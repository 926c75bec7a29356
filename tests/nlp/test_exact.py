"""Versions, codes, numbered things and amounts: what a question names, and what a text says of it."""

from __future__ import annotations

import pytest

from apps.nlp.services.grounding.check import PassageText
from apps.nlp.services.grounding.exact import exact_terms, holds, is_about_another, meant, names_another, speaks_for
from apps.nlp.services.grounding.quoting import quote_answer
from tests.nlp.test_quoting import bag_embed


def told(text: str) -> list[tuple[str, str]]:
    return [(one.kind, one.raw) for one in exact_terms(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How much memory does version 3.1 need?", [("version", "3.1")]),
        ("What's new in 3.2?", [("version", "3.2")]),
        ("v2 and v2.1.0", [("version", "v2"), ("version", "v2.1.0")]),
        ("Runs on Python 3.11 and Debian 12", [("version", "3.11"), ("number", "12")]),
        ("error 404, step 3, room 12", [("number", "404"), ("number", "3"), ("number", "12")]),
        ("price of ZR-4401 or mp3", [("code", "ZR-4401"), ("code", "mp3")]),
        ("3.5 kg for $4.90 within 30 days", [("amount", "3.5 kg"), ("amount", "$4.90"), ("amount", "30 days")]),
        ("10-20 kg", [("amount", "10-20 kg")]),
        ("30天内, 第3章, 1992年7月", [("amount", "30天")]),
        ("版本 3.1 有什么新功能?", [("version", "3.1")]),
        ("Open 9:00 to 17:00 on 12.11.2026", []),
        ("the 1st and the 30-minute one, 2x, 70ern, 5PM", [("amount", "30-minute")]),
        ("in 1901, em 2000, im Jahr 1914", []),
        ("Are you open 24/7, or open 9-17?", []),
        ("Call +351 210 000 000", []),
    ],
)
def test_what_is_named_exactly(text: str, expected: list[tuple[str, str]]) -> None:
    assert told(text) == expected


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("version 3.1", "Version 3.1.2 mends the importer."),
        ("Python 3.11", "You need Python 3.9 or later."),
        ("Python 3.10", "It runs with Python 3.8 to 3.12."),
        ("Python 3.10", "It runs with any Python from 3.8."),
        ("Python 3.10", "需要 Python 3.8 以上"),
        ("version 2.4", "até a versão 2.6"),
        ("version 2.4", "bis Version 2.6"),
        ("release 4", "between release 3 and release 5"),
        ("zr 4401", "The article ZR-4401 is a valve."),
        ("ZR4401", "The article ZR-4401 is a valve."),
        ("article zr-4401", "The articles ZR-4400 to ZR-4410 are valves."),
        ("Debian 11", "Debian 10, 11 and 12 are called buster, bullseye and bookworm."),
        ("Windows 11", "Windows 10 or newer is needed."),
    ],
)
def test_a_text_may_speak_of_it_in_other_words(asked: str, text: str) -> None:
    (wanted,) = exact_terms(asked)
    assert holds(text, wanted)
    assert not names_another(text, wanted)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("version 3.1", "Version 3.10 needs 500 MB."),
        ("version 3.1", "Version 31.0 is a preview."),
        ("What is new in 3.2?", "Version 3.0 is the first release with plug-ins."),
        ("Python 3.6", "You need Python 3.9 or later."),
        ("Python 3.13", "It runs with Python 3.8 to 3.12."),
        ("ZR-4444", "The article ZR-4410 is a valve."),
        ("zr 4444", "The article ZR-4410 is a valve."),
        ("ZR-4444", "The article ZQ-4410 is a valve."),
        ("error 404", "Error 403 means that the page is closed to you."),
        ("iPhone 15", "The case fits the iPhone 14."),
        ("articles ZR-4420", "The articles ZR-4400 to ZR-4410 are valves."),
        ("版本 3.2", "版本 3.1 增加了夜间模式"),
    ],
)
def test_a_text_on_another_is_known(asked: str, text: str) -> None:
    assert is_about_another(text, exact_terms(asked))


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("My order 12345 has not come", "Parcels come within 3 days. Ask us after 10."),
        ("My order of 20 EUR", "Delivery costs 4.90 EUR."),
        ("Can I return it after 40 days?", "Products can be returned within 30 days."),
        ("Does Python 3.11 work?", "Django 5.2 is needed."),
        ("wifi of my N95", "Choose WPA2 in the settings."),
        ("How do I log in?", "Version 3.0 has a new page to log in."),
    ],
)
def test_another_kind_of_figure_says_nothing(asked: str, text: str) -> None:
    assert not is_about_another(text, exact_terms(asked))


def test_one_of_two_is_enough() -> None:
    asked = exact_terms("What changed from 3.0 to 3.1?")
    assert not is_about_another("Version 3.1 adds the night mode.", asked)
    assert is_about_another("Version 3.2 adds nothing.", asked)


def test_a_follow_up_replaces_what_was_named_before() -> None:
    assert [one.raw for one in meant("and ZR-4410?", "What does ZR-4401 cost?")] == ["ZR-4410"]
    assert [one.raw for one in meant("and how much is it?", "What does ZR-4401 cost?")] == ["ZR-4401"]


LIST = (
    "Article ZR-4410 is of brass and costs 61 EUR.\nArticle ZR-4401 is of steel and costs 48 EUR.\nIt is a good valve."
)


def test_a_sentence_of_a_list_answers_for_its_own_article() -> None:
    wanted = exact_terms("What does ZR-4401 cost?")
    first, second, third = LIST.split("\n")
    assert [speaks_for(piece, LIST, "Valves", wanted) for piece in (first, second, third)] == [False, True, False]
    assert speaks_for("It needs 300 MB of memory.", "It needs 300 MB. Version 3.0 needed 290 MB.", "Version 3.1",
                      exact_terms("memory of version 3.1"))  # fmt: skip


@pytest.mark.parametrize(("code", "price"), [("ZR-4410", "61"), ("zr-4401", "48"), ("ZR 4401", "48")])
def test_the_quotation_is_of_the_article(code: str, price: str) -> None:
    question = f"What does article {code} cost?"
    found = quote_answer(question, [PassageText(LIST, "Valves")], bag_embed, exact_terms(question))
    assert found is not None
    assert f"costs {price} EUR" in found.text


def test_nothing_is_quoted_for_an_article_that_is_not_there() -> None:
    question = "What does article ZR-4444 cost?"
    assert quote_answer(question, [PassageText(LIST, "Valves")], bag_embed, exact_terms(question)) is None


def test_long_texts_are_read_in_a_bounded_time() -> None:
    for text in ("1." * 50_000, "9" * 100_000, "a-" * 50_000, "1 to " * 20_000, "v1 " * 30_000, ">= " * 30_000):
        exact_terms(text)


ERRORS = "- E12: the tank is empty.\n- E13: the grinder is blocked. Switch off and clean it.\n- E21: descaling is due."


@pytest.mark.parametrize("code", ["E13", "e13"])
def test_an_item_is_quoted_with_all_of_its_sentences_and_nothing_of_the_item_before(code: str) -> None:
    question = f"What does {code} mean?"
    found = quote_answer(question, [PassageText(ERRORS, "Errors")], bag_embed, exact_terms(question))
    assert found is not None
    assert found.text == "- E13: the grinder is blocked. Switch off and clean it."


def test_the_quotation_does_not_begin_with_another() -> None:
    question = "Does the bx350 have a jug?"
    text = "The BX-300 has a glass pot. The BX-350 has a thermos jug."
    found = quote_answer(question, [PassageText(text, "Models")], bag_embed, exact_terms(question))
    assert found is not None
    assert found.text == "The BX-350 has a thermos jug."
