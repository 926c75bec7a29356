"""Sentences: nothing is lost, abbreviations hold together, and no line takes long."""

from __future__ import annotations

import time

import pytest

from apps.inference.engine.sentences import sentences_split


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Hello. How are you? Fine!", ["Hello.", "How are you?", "Fine!"]),
        ("Dr. Smith lives in the U.S. and likes it. J. R. Tolkien wrote.", None),
        ("It costs 3.50 euros. That is fair.", ["It costs 3.50 euros.", "That is fair."]),
        ("O Sr. João chegou às 10 a.m. em casa.", ["O Sr. João chegou às 10 a.m. em casa."]),
        ("First line\nsecond line", ["First line", "second line"]),
        ("你好。再见！", ["你好。", "再见！"]),
        ('He said "no." Then he left. (Really?) Yes.', ['He said "no."', "Then he left.", "(Really?)", "Yes."]),
        ("Wait... what?", ["Wait...", "what?"]),
        ("no end", ["no end"]),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, sentences: list[str] | None) -> None:
    expected = sentences or ["Dr. Smith lives in the U.S. and likes it.", "J. R. Tolkien wrote."]
    assert [sentence for sentence, _ in sentences_split(text)] == (expected if text else [])


@pytest.mark.parametrize(
    "text",
    ["  leading", "trailing \n", " ", "\n\n a. B.\r\n\r\nC", "a.\u2003B", "...", "x" * 1000, "\0. \0"],
    ids=ascii,
)
def test_pairs_join_to_the_text(text: str) -> None:
    assert "".join(sentence + space for sentence, space in sentences_split(text)) == text


@pytest.mark.parametrize("piece", [".", ". ", "\n", " ", "a. ", ".' ", "'", ".''''''", "。", "x"], ids=ascii)
def test_hostile_line_takes_no_longer_than_any_other(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    began = time.monotonic()
    assert "".join(sentence + space for sentence, space in sentences_split(text)) == text
    assert time.monotonic() - began < 20
