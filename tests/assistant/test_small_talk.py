"""What is said besides questions, as people type it in six languages: kinds, languages, complaints, yes to an offer."""

from __future__ import annotations

import re

import pytest

from apps.assistant.complaints import complains
from apps.assistant.decision import Thresholds, decide
from apps.assistant.services.phrases import LANGUAGES, PHRASES, offers_person, phrase
from apps.assistant.smalltalk import affirms, asks_for_person, small_talk, talk_of, without_greeting
from apps.assistant.talk import FILLERS, ORDER
from apps.assistant.talk import PHRASES as TALK
from apps.core.texts import is_visible

TYPED = [
    ("thanks \u2764\ufe0f", "thanks", "en"),
    ("Thanks \u263a\ufe0f", "thanks", "en"),
    ("谢谢\u2764\ufe0f", "thanks", "zh"),
    ("hello \U0001f64b\u200d\u2640\ufe0f", "greeting", "en"),
    ("\U0001f44d\U0001f3fd", "thanks", ""),
    ("\u2764\ufe0f", "thanks", ""),
    ("\U0001f60a", "sign", ""),
    ("Thx :-)", "thanks", "en"),
    ("thanks :D", "thanks", "en"),
    ("thank you\u200b", "thanks", "en"),
    ("Thank you…", "thanks", "en"),
    ("THAAANK YOUUU!!!", "thanks", "en"),
    ("thnaks", "thanks", "en"),
    ("that solved it, thank you", "thanks", "en"),
    ("thanks, it works now", "thanks", "en"),
    ("好的，谢谢", "thanks", "zh"),
    ("muito obrigada pela ajuda!", "thanks", "pt"),
    ("Gracias por tu ayuda", "thanks", "es"),
    ("Merci beaucoup pour votre aide", "thanks", "fr"),
    ("Vielen Dank für die schnelle Antwort", "thanks", "de"),
    ("no, that is all", "done", "en"),
    ("nothing else", "done", "en"),
    ("c'est tout, merci", "done", "fr"),
    ("Nein danke, das war alles", "done", "de"),
    ("não, obrigado", "done", "pt"),
    ("nada más, gracias", "done", "es"),
    ("没有了，谢谢", "done", "zh"),
    ("helloooo??", "greeting", "en"),
    ("Guten Tag zusammen", "greeting", "de"),
    ("¡Buenos días!", "greeting", "es"),
    ("Danke schön, tschüss!", "bye", "de"),
    ("are you a robot?", "robot", "en"),
    ("Am I talking to a human?", "robot", "en"),
    ("您是机器人吗？", "robot", "zh"),
    ("Êtes-vous un robot ?", "robot", "fr"),
    ("I need help", "help", "en"),
    ("tengo una pregunta", "help", "es"),
    ("is anybody there???", "present", "en"),
    ("¿Estás ahí?", "present", "es"),
    ("在吗", "present", "zh"),
    ("you're useless", "insult", "en"),
    ("du bist so dumm", "insult", "de"),
    ("垃圾", "insult", "zh"),
    ("ok", "okay", "en"),
    ("great job!", "praise", "en"),
]
ASKED = [
    "Hi, where is my order?",
    "What is a greeting card?",
    "bye-laws of the club?",
    "88 cm?",
    "no refund",
    "return",
    "it works on phones?",
    "can you help me return a coat",
    "thanks for nothing, where is my parcel?",
    "help center address",
    "is there a store in Porto?",
    "garbage disposal",
    "cool box price",
    "Test drive",
    "who are your suppliers?",
    "are you open on sunday?",
    "are you real estate agents?",
    "没有收到货",
    "在吗，我的订单到哪了",
    "super glue",
    "sim card",
    "ja bitte die Preise",
    "chess",
    "danke, und was kostet der Versand?",
]


@pytest.mark.parametrize(("message", "kind", "language"), TYPED)
def test_small_talk_is_known_however_it_is_typed(message: str, kind: str, language: str) -> None:
    found = talk_of(message)
    assert (found.kind, found.language) == (kind, language)
    decision = decide(message, (), Thresholds(), before_search=True)
    assert decision is not None
    assert (decision.kind, decision.reason) == ("abstain", f"small_talk_{kind}")


@pytest.mark.parametrize("message", ASKED)
def test_a_question_or_a_subject_is_no_small_talk(message: str) -> None:
    assert small_talk(message) == ""


def test_a_long_message_is_no_small_talk_and_takes_no_time() -> None:
    assert small_talk("thanks " * 10_000) == ""


@pytest.mark.parametrize(
    ("message", "left"),
    [
        ("Hi, where is my order?", "where is my order?"),
        ("Hellooo where is my order?", "where is my order?"),
        ("Olá! Bom dia, onde está?", "onde está?"),
        ("Grüß Gott, wo ist es?", "wo ist es?"),
        ("你好，我的订单呢", "我的订单呢"),
        ("Hi there team, one question: sizes?", "one question: sizes?"),
        ("Morning coffee price?", "Morning coffee price?"),
        ("thanks", ""),
    ],
)
def test_a_greeting_is_taken_off_a_question(message: str, left: str) -> None:
    assert without_greeting(message) == left


def test_each_kind_has_a_sentence_in_each_language_and_each_phrase_is_of_one_kind() -> None:
    assert set(TALK) == set(ORDER)
    for kind in [*TALK, "sign"]:
        assert set(PHRASES[f"small_talk_{kind}"]) == set(LANGUAGES)
    assert all(set(by_language) == set(LANGUAGES) for by_language in PHRASES.values())
    assert len(FILLERS.split("|")) == len(set(FILLERS.split("|")))
    kinds: dict[tuple[str, str], str] = {}
    for kind, by_language in TALK.items():
        for language, phrases in by_language.items():
            for one in phrases.split("|"):
                assert kinds.setdefault((language, one), kind) == kind, (language, one)


@pytest.mark.parametrize(
    "message",
    [
        "Your delivery is a joke, three weeks and nobody answers.",
        "This is the worst shop I have ever bought from",
        "Estou muito decepcionado com vocês",
        "Es una vergüenza, estoy harto de esperar",
        "C'est honteux, je suis très déçu",
        "Das ist eine Unverschämtheit",
        "你们的服务太差了，非常失望",
    ],
)
def test_anger_without_a_question_is_answered_with_an_offer(message: str) -> None:
    assert complains(message)
    decision = decide(message, (), Thresholds(), before_search=True)
    assert decision is not None
    assert decision.reason == "complaint"
    assert all(offers_person(text) for text in PHRASES["complaint"].values())


@pytest.mark.parametrize(
    "message",
    [
        "I am furious, when will my parcel arrive?",
        "I am disappointed and I want to return my shoes",
        "How do I make a complaint?",
        "Where can I complain about a product",
        "我要退货，质量太差了",
        "The red coat in size M",
    ],
)
def test_whoever_asks_or_wants_something_is_answered(message: str) -> None:
    assert not complains(message)


@pytest.mark.parametrize(
    "message", ["yes", "Yes please!", "sim, por favor", "oui", "ja gerne", "好的", "sí", "ok \U0001f44d"]
)
def test_yes_to_the_offer_of_a_person_hands_over(message: str) -> None:
    assert affirms(message)
    offered = decide(message, (), Thresholds(), before_search=True, person_offered=True)
    assert offered is not None
    assert (offered.kind, offered.reason) == ("handoff", "asked_for_person")
    otherwise = decide(message, (), Thresholds(), before_search=True)
    assert otherwise is not None
    assert otherwise.kind == "abstain"


@pytest.mark.parametrize("message", ["no", "no thanks", "yes, but where is my order?", "what?", "", "\U0001f44d"])
def test_what_is_no_plain_yes_hands_nothing_over(message: str) -> None:
    assert not affirms(message)


@pytest.mark.parametrize(
    "message",
    [
        "Quiero hablar con una persona",
        "je voudrais parler à un conseiller",
        "Ich möchte mit einem Menschen sprechen",
        "ich will mit einem echten Mitarbeiter sprechen",
        *PHRASES["want_person"].values(),
    ],
)
def test_a_person_is_asked_for_in_each_language(message: str) -> None:
    assert asks_for_person(message)


@pytest.mark.parametrize("message", ["No quiero hablar con una persona", "Ich will nicht mit einem Menschen sprechen"])
def test_a_refusal_of_a_person_is_no_request(message: str) -> None:
    assert not asks_for_person(message)


def test_a_sentence_is_said_in_the_language_of_a_locale_and_in_english_where_there_is_none() -> None:
    assert phrase("quote_lead", "pt-BR") == PHRASES["quote_lead"]["pt"]
    assert phrase("quote_lead", "zh-hans") == PHRASES["quote_lead"]["zh"]
    assert phrase("quote_lead", "fi") == PHRASES["quote_lead"]["en"]


@pytest.mark.parametrize("text", ["\u200b", "\u2800\u3164", " \ufe0f\u200d ", "\u0301", "\u00ad"])
def test_what_shows_nothing_is_no_message(text: str) -> None:
    assert not is_visible(text)


@pytest.mark.parametrize("text", ["a", "?", "我", "\U0001f44d", "\u2764\ufe0f", "1", "e\u0301"])
def test_what_shows_something_is_one(text: str) -> None:
    assert is_visible(text)


def test_patterns_stay_fast_on_long_texts() -> None:
    for text in ("mit " * 2000, "falar com " * 2000, "a" * 10_000, "不" * 10_000):
        assert not asks_for_person(text)
        assert re.search("x", text) is None
        complains(text)
