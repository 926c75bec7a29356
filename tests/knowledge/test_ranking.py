"""The scoring function and the analyser, without a database."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from apps.knowledge.lexis import query_terms, terms, tsquery_literal, tsvector_literal
from apps.knowledge.ranking import Candidate, RankRules, corpus_stats, lexical_score, rank

RULES = RankRules(lexical_weight=0.1, per_section=2, same_content_slack=0.1)
TEXTS = ["tea is served at five", "cake is served at six", "tea tea tea and cake", "the shop opens at nine"]


def candidates(cosines: list[float], **fields: Any) -> list[Candidate]:
    found = [terms(text) for text in TEXTS]
    return [Candidate(i, c, Counter(found[i]), len(found[i]), **fields) for i, c in enumerate(cosines)]


STATS = corpus_stats([(Counter(terms(text)), len(terms(text))) for text in TEXTS])


def test_words_move_what_meaning_leaves_equal() -> None:
    found = rank(candidates([0.5, 0.5, 0.5, 0.5]), ["six"], STATS, RULES)
    assert found[0].key == 1


def test_meaning_outweighs_words_by_more_than_their_share() -> None:
    found = rank(candidates([0.5, 0.5, 0.5, 0.65]), ["six"], STATS, RULES)
    assert found[0].key == 3


def test_rare_word_counts_more_than_a_common_one() -> None:
    by_key = {item.key: item.lexical for item in rank(candidates([0.5] * 4), ["tea", "six"], STATS, RULES)}
    assert by_key[1] > by_key[0]


def test_lexical_score_lies_between_nought_and_one() -> None:
    scores = [lexical_score(c, ["tea", "cake"], STATS, RULES) for c in candidates([0.0] * 4)]
    assert all(0 <= score <= 1 for score in scores)
    assert scores[3] == 0


def test_unknown_word_lowers_every_score() -> None:
    (first, *_) = candidates([0.0] * 4)
    assert lexical_score(first, ["tea", "zebra"], STATS, RULES) < lexical_score(first, ["tea"], STATS, RULES)


def test_query_without_a_word_is_ranked_by_meaning() -> None:
    assert [item.key for item in rank(candidates([0.1, 0.4, 0.2, 0.3]), [], STATS, RULES)] == [1, 3, 2, 0]


def test_section_is_given_as_often_as_the_rules_say() -> None:
    found = rank(candidates([0.4, 0.3, 0.2, 0.1], section="s"), [], STATS, RULES)
    assert [item.key for item in found] == [0, 1]


@pytest.mark.parametrize(("far", "near", "given"), [(0.6, 0.55, "short"), (0.6, 0.45, "long")])
def test_of_equal_texts_the_one_of_the_shorter_document_is_given(far: float, near: float, given: str) -> None:
    pair = [
        Candidate("long", far, {}, 3, content="same", breadth=500),
        Candidate("short", near, {}, 3, content="same", breadth=20),
    ]
    assert [item.key for item in rank(pair, [], STATS, RULES)] == [given]


def test_nothing_known_gives_nothing() -> None:
    assert rank([], ["tea"], corpus_stats([]), RULES) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Refunds and refunding", ["refund", "refund"]),
        ("The customer's parcel", ["custom", "parcel"]),
        ("don’t panic", ["panic"]),
        ("libfoo2.0-dev in /usr/share", ["libfoo2", "0", "dev", "usr", "share"]),
        ("snake_case_name", ["snake", "case", "name"]),
        ("ＦＵＬＬ width ﬁle", ["full", "width", "file"]),
        ("申请退款", ["申请", "退款"]),
        ("iPhone 退货", ["iphon", "退货"]),
        ("Größe über", ["größe", "über"]),
        ("'; DROP TABLE x; --", ["drop", "tabl", "x"]),
        ("", []),
    ],
)
def test_terms(text: str, found: list[str]) -> None:
    assert terms(text) == found


def test_query_of_stop_words_keeps_them() -> None:
    assert query_terms("what is it") == ["what", "is", "it"]


def test_query_terms_are_distinct_and_bounded() -> None:
    assert query_terms("tea tea " + " ".join(f"w{n}" for n in range(100)), limit=5) == ["tea", "w0", "w1", "w2", "w3"]


def test_index_literals_hold_letters_and_digits_only() -> None:
    literal, count = tsvector_literal("It's a 'quoted' \\ heading", "x:1 & y | !z (a) 退款")
    assert literal == "'quot':1 'head':2 'x':3 '1':4 'y':5 'z':6 '退款':7"
    assert count == 7
    assert tsquery_literal(["a", "b"]) == "'a' | 'b'"
