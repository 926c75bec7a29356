"""What is searched for: questions that stand by themselves, and follow-ups with what they follow."""

from __future__ import annotations

import pytest

from apps.assistant.condense import MAX_QUERIES, MAX_QUERY_CHARS, condense_query

EARLIER = ["How do I cancel an upload?"]


@pytest.mark.parametrize(
    "message",
    [
        "and for files?",
        "What about it?",
        "How long does it take?",
        "why?",
        "files?",
        "And with dcut?",
        "what about those?",
    ],
)
def test_a_follow_up_is_searched_with_the_question_before(message):
    result = condense_query(EARLIER, message)
    assert result.is_follow_up
    assert result.texts[0] == f"How do I cancel an upload? {message}"


@pytest.mark.parametrize(
    "message",
    [
        "Which urgency should I choose for an upload?",
        "Is it possible to remove a package from the archive?",
        "What is lintian?",
        "How do I install lintian and run it?",
        "Does the widget work on phones?",
        "Can I pay with a card that I got in Portugal?",
    ],
)
def test_a_question_that_stands_alone_is_untouched(message):
    assert condense_query(EARLIER, message).texts == (message,)
    assert not condense_query(EARLIER, message).is_follow_up


def test_without_history_nothing_is_a_follow_up():
    assert condense_query([], "How long does it take?").texts == ("How long does it take?",)


def test_small_talk_and_follow_ups_in_the_history_are_skipped():
    history = ["How do I cancel an upload?", "and on Sundays?", "thanks!"]
    assert condense_query(history, "who does it?").texts[0] == "How do I cancel an upload? who does it?"


def test_merged_messages_are_searched_together_and_the_question_alone():
    result = condense_query([], "Hello!\nI bought a coat last week.\nWhere can I return the coat?")
    assert result.texts == ("I bought a coat last week. Where can I return the coat?", "Where can I return the coat?")


def test_a_greeting_before_the_question_is_left_out():
    assert condense_query([], "Hi there, where is my order?").texts == ("where is my order?",)


@pytest.mark.parametrize(
    "message",
    [
        "and what does delivery cost?",
        "ok, how can I pay by card?",
        "So where are your shops?",
        "But is there a warranty on shoes?",
        "mas onde ficam as lojas?",
    ],
)
def test_what_only_sounds_as_if_it_went_on_is_searched_by_itself_first(message):
    result = condense_query(["How do I return a product?"], message)
    assert result.texts == (message, f"How do I return a product? {message}")
    assert result.queries[1].needed


def test_joined_with_an_earlier_question_a_passage_needs_words_of_the_new_one():
    (joined, alone) = condense_query(["How do I return a product?"], "and for shoes?").queries
    assert joined.text == "How do I return a product? and for shoes?"
    assert joined.needed == {"shoe"}
    assert (alone.text, alone.needed) == ("and for shoes?", frozenset())


def test_what_points_at_the_question_before_needs_none():
    (joined,) = condense_query(["How do I return a product?"], "How long does it take?").queries
    assert joined.needed == frozenset()


def test_queries_are_bounded_and_never_empty():
    result = condense_query(["x" * 3000], "and " + "word " * 3000)
    assert len(result.queries) <= MAX_QUERIES
    assert max(map(len, result.texts)) <= MAX_QUERY_CHARS
    assert condense_query([], "???").texts == ("???",)
