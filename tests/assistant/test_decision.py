"""Answer, abstain or hand over."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from apps.assistant.decision import FEATURES, WEIGHTS, Thresholds, confidence_of, decide, features
from apps.assistant.smalltalk import asks_for_person, small_talk


@dataclass(frozen=True)
class Found:
    text: str
    heading: str = ""
    title: str = ""
    cosine: float = 0.6
    lexical: float = 0.4
    score: float = 0.7


GOOD = (
    Found("Orders are delivered within 5 days.", "Delivery", 0.72, 0.6),
    Found("Gift cards are valid for 3 years.", "Gift cards", 0.2, 0.0),
)
POOR = (Found("Gift cards are valid for 3 years.", "Gift cards", 0.15, 0.0),)
DEFAULT = Thresholds.default()


def test_a_question_that_the_passages_cover_is_answered():
    decision = decide("When are orders delivered?", GOOD, DEFAULT)
    assert (decision.kind, decision.reason) == ("answer", "found")


def test_a_question_far_from_all_passages_is_abstained():
    decision = decide("What is the airspeed of a swallow?", POOR, DEFAULT)
    assert (decision.kind, decision.reason) == ("abstain", "not_found")


def test_a_name_that_occurs_nowhere_lowers_the_confidence_and_is_the_reason():
    known = decide("When are orders delivered to me?", GOOD, DEFAULT)
    unknown = decide("When are orders delivered to Madeira?", GOOD, Thresholds(answer=0.99))
    assert unknown.confidence < known.confidence
    assert unknown.reason == "unknown_name"


def test_nothing_retrieved_is_abstained():
    assert decide("When are orders delivered?", (), DEFAULT).reason == "nothing_retrieved"


def test_the_second_abstention_in_a_row_hands_over():
    decision = decide("What is a swallow?", POOR, DEFAULT, abstentions=1)
    assert (decision.kind, decision.reason) == ("handoff", "repeated_failure")


def test_hand_over_after_failures_can_be_switched_off():
    assert decide("What is a swallow?", POOR, Thresholds(handoff_after=0), abstentions=9).kind == "abstain"


def test_an_answerable_question_is_answered_after_an_abstention():
    assert decide("When are orders delivered?", GOOD, DEFAULT, abstentions=1).kind == "answer"


@pytest.mark.parametrize("message", ["I want to cancel my contract", "About CANCELLING  my Contract: how?"])
def test_a_policy_phrase_hands_over_in_any_case_and_inflection(message):
    decision = decide(message, GOOD, Thresholds(handoff_phrases=("cancel my contract",)))
    assert (decision.kind, decision.reason) == ("handoff", "policy")


def test_a_policy_phrase_is_not_found_inside_other_words():
    assert decide("When are orders delivered?", GOOD, Thresholds(handoff_phrases=("order",))).reason == "policy"
    assert decide("When are reorders delivered?", GOOD, Thresholds(handoff_phrases=("order",))).reason != "policy"


def test_a_chinese_policy_phrase_is_found_without_word_borders():
    assert decide("我要投诉你们的服务", GOOD, Thresholds(handoff_phrases=("投诉",))).reason == "policy"


@pytest.mark.parametrize(
    ("message", "kind"),
    [("Hi", "greeting"), ("hello there!", "greeting"), ("Thanks a lot!", "thanks"), ("ok thanks, bye", "bye"),
     ("你好", "greeting"), ("谢谢", "thanks"), ("obrigado!", "thanks"), ("再见", "bye")],
)  # fmt: skip
def test_small_talk_has_its_own_reason(message, kind):
    assert decide(message, GOOD, DEFAULT, before_search=True).reason == f"small_talk_{kind}"


@pytest.mark.parametrize("message", ["Hi, where is my order?", "What is a greeting card?", "bye-laws of the club?"])
def test_a_question_is_not_small_talk(message):
    assert small_talk(message) == ""


@pytest.mark.parametrize(
    "message",
    [
        "I want to talk to a person",
        "Can I speak with a human please?",
        "human",
        "please connect me with an agent",
        "I need a real person, not a bot",
        "let me talk to your manager",
        "Is there anyone I can talk to?",
        "转人工",
        "我要找人工客服",
        "Quero falar com um atendente",
    ],
)
def test_asking_for_a_person_hands_over_before_the_search(message):
    assert decide(message, (), DEFAULT, before_search=True).reason == "asked_for_person"


@pytest.mark.parametrize(
    "message",
    [
        "I don't want to talk to a person",
        "I'd rather not speak to an agent",
        "我不想找客服",
        "não quero falar com um atendente",
        "What happens when a visitor asks for a person?",
        "How does a visitor talk to a person?",
        "Which agent is used for ssh keys?",
        "How do I contact the person in charge of a package?",
    ],
)
def test_other_talk_of_persons_does_not_hand_over(message):
    assert not asks_for_person(message)


def test_before_the_search_a_question_is_undecided():
    assert decide("When are orders delivered?", (), DEFAULT, before_search=True) is None


def test_a_message_without_words_is_abstained():
    assert decide("??", GOOD, DEFAULT).reason == "small_talk_sign"


def test_settings_that_are_not_given_keep_the_measured_default():
    assert DEFAULT.replaced(answer=None, handoff_after=3) == Thresholds(handoff_after=3)


def test_every_feature_has_a_weight():
    assert tuple(WEIGHTS) == FEATURES == tuple(features("When are orders delivered?", GOOD))


def test_confidence_rises_with_the_cosine():
    values = features("When are orders delivered?", GOOD)
    assert confidence_of(values) > confidence_of({**values, "cosine": 0.2})
