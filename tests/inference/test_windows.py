"""Long texts in parts: nothing is lost between them, and no tokenizer sees a long run without a space."""

from __future__ import annotations

import re

import pytest
import spacy

from apps.inference.engine.backends.spacy_tagger import BoundedTokenizer
from apps.inference.engine.types import Span
from apps.inference.engine.windows import (
    MARGIN_CHARS,
    MAX_RUN_CHARS,
    PART_CHARS,
    PART_TOKENS,
    pieces_of,
    spans_joined,
    tokens_estimate,
    windows_of,
)
from tests.pathological import PATHOLOGICAL, pathological

LONG = {name: pathological(name, 20_000) for name in PATHOLOGICAL}


@pytest.mark.parametrize("name", LONG)
def test_parts_are_bounded_and_leave_no_gap(name: str) -> None:
    windows = windows_of(LONG[name])
    assert windows[0].begin == 0
    assert windows[-1].end == len(LONG[name])
    assert [one.end for one in windows[:-1]] == [one.begin for one in windows[1:]]
    assert max(tokens_estimate(LONG[name][one.begin : one.end]) for one in windows) <= PART_TOKENS
    assert max(one.read_end - one.read_begin for one in windows) <= PART_CHARS + 2 * MARGIN_CHARS


def test_a_short_text_is_one_part() -> None:
    assert len(windows_of("Ada Lovelace was born in London. " * 40)) == 1


def test_parts_end_with_sentences() -> None:
    text = "Ada Lovelace was born in London. " * 400
    assert {text[: one.end].rstrip()[-1] for one in windows_of(text)} == {"."}


@pytest.mark.parametrize("word", ["jane.miller@example.com", "DE89370400440532013000"])
@pytest.mark.parametrize("filler", ["x", "[", "a,", "word "])
def test_what_stands_across_an_edge_is_found_once_and_at_its_place(word: str, filler: str) -> None:
    text = filler * 3_000 + (" " + word + " ") + filler * 3_000
    for shift in range(0, len(word), 5):
        shifted = text[shift:]
        windows = windows_of(shifted)
        found = [
            [Span(m.start(), m.end(), "X", 1.0, m[0]) for m in re.finditer(re.escape(word), part)]
            for part in (shifted[one.read_begin : one.read_end] for one in windows)
        ]
        [span] = spans_joined(shifted, windows, found)
        assert shifted[span.start : span.end] == span.text == word


def test_spans_that_overlap_at_an_edge_are_covered_both() -> None:
    text = "a," * 2_000
    first, second, *rest = windows_of(text)
    edge = first.end
    one = Span(edge - 4, edge + 2, "A", 1.0, "")
    other = Span(edge - second.read_begin, edge + 6 - second.read_begin, "B", 1.0, "")
    found = [[one], [other], *[[] for _ in rest]]
    [kept] = spans_joined(text, [first, second, *rest], found, cover=True)
    assert (kept.start, kept.end, kept.text) == (edge - 4, edge + 6, text[edge - 4 : edge + 6])
    assert [s.end for s in spans_joined(text, [first, second, *rest], found)] == [edge + 2]


@pytest.mark.parametrize("name", LONG)
def test_tokens_of_pieces_are_the_text(name: str) -> None:
    tokenizer = BoundedTokenizer(spacy.blank("en").tokenizer)
    text = LONG[name][:3_000]
    document = tokenizer(text)
    assert document.text == text
    assert [text[token.idx : token.idx + len(token.text)] for token in document] == [token.text for token in document]


def test_runs_are_cut_and_other_texts_are_left_alone() -> None:
    assert pieces_of("a word and another " * 100) is None
    pieces = pieces_of("see " + "[" * 1_000)
    assert pieces is not None
    assert "".join(pieces) == "see " + "[" * 1_000
    assert max(map(len, pieces)) <= MAX_RUN_CHARS + len("see ")
